// Global set-up of the demo projects: builds package and demo once, then starts them the way `npm start` does, one relay per engine.
// Tests in test/demo/**/*.test.ts run in Node, once per engine, and get `inject("demoUrl")` and `inject("browser")`.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
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

/** Provides `demoUrl`; the returned function stops the relay. */
export default async function startDemo(project: TestProject): Promise<() => Promise<void>> {
  // Each engine's project loads this file anew; the build is the same for all.
  await (shared.miyuDemoBuild ??= promisify(execFile)(process.execPath, [start, "--build-only"], { cwd: root }));
  const child = spawn(process.execPath, [start, "--no-build", "--port", "0"], { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const printed = new Promise<string>((resolve) => {
    createInterface(child.stdout).on("line", (text) => {
      const url = /https?:\/\/\S+/u.exec(text)?.[0];
      if (url !== undefined) resolve(url);
    });
  });
  const early = exited.then(() => Promise.reject(new Error("the demo stopped before it printed its address")));
  project.provide("demoUrl", await Promise.race([printed, early]));
  early.catch(() => undefined);
  return async () => {
    child.kill("SIGTERM");
    await exited;
  };
}
