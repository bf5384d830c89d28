// Global set-up of the demo projects: builds package and demo once, then starts them the way `npm start` does, one relay per engine.
// Tests in test/demo/**/*.test.ts run in Node, once per engine, and get `inject("demoUrl")` and `inject("browser")`.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";
import type { FoundBrowser } from "../../scripts/browsers.mjs";

declare module "vitest" {
  interface ProvidedContext {
    /** The browser this project drives. */
    browser: FoundBrowser;
    /** Address of the running demo, as `npm start` printed it. */
    demoUrl: string;
  }
}

const root = fileURLToPath(new URL("../..", import.meta.url));
const start = "scripts/start.mjs";
const shared = globalThis as { miyuDemoBuild?: Promise<unknown> };

/** Where the tests of a demo that did not start look for it: they fail, and all others still run. */
const NOT_STARTED = "http://the-demo-did-not-start.invalid/";

/** Provides `demoUrl`; the returned function stops the relay. */
export default async function startDemo(project: TestProject): Promise<() => Promise<void>> {
  try {
    // Each engine's project loads this file anew; the build is the same for all.
    await (shared.miyuDemoBuild ??= promisify(execFile)(process.execPath, [start, "--build-only"], { cwd: root }));
    const child = spawn(process.execPath, [start, "--no-build", "--port", "0"], { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(child, "exit");
    project.provide("demoUrl", await addressPrintedBy(child.stdout, exited));
    return async () => {
      child.kill("SIGTERM");
      await exited;
    };
  } catch (error) {
    process.stderr.write(`The demo did not start: ${String(error)}\n`);
    project.provide("demoUrl", NOT_STARTED);
    return async () => undefined;
  }
}

function addressPrintedBy(output: Readable, exited: Promise<unknown>): Promise<string> {
  return new Promise((resolve, reject) => {
    createInterface(output).on("line", (text) => {
      const url = /https?:\/\/\S+/u.exec(text)?.[0];
      if (url !== undefined) resolve(url);
    });
    exited.then(() => reject(new Error("it ended before it printed its address")), reject);
  });
}
