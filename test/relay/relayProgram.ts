/** The real `miyu` command as a child program: bundled once from the sources, started, killed. */
import { build } from "esbuild";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A bundle of the command, where its packages can be found. */
export interface Program {
  readonly entry: string;
  /** A directory that goes with the bundle. */
  scratch(name: string): string;
  remove(): Promise<void>;
}

/** Bundles `src/cli/index.ts` below `node_modules/.cache`, laid out as in the package. */
export async function buildProgram(): Promise<Program> {
  const cache = join(root, "node_modules", ".cache");
  await mkdir(cache, { recursive: true });
  const directory = await mkdtemp(join(cache, "miyu-cli-"));
  const entry = join(directory, "dist", "cli", "index.js");
  await build({ entryPoints: [join(root, "src/cli/index.ts")], outfile: entry, bundle: true, platform: "node", format: "esm", external: ["ws", "classic-level"], logLevel: "error" });
  await copyFile(join(root, "package.json"), join(directory, "package.json"));
  return { entry, scratch: (name) => join(directory, name), remove: async () => rm(directory, { recursive: true, force: true }) };
}

/** A started command. */
export interface Running {
  readonly child: ChildProcess;
  /** What it printed so far. */
  readonly output: { stdout: string; stderr: string };
  /** The first line of its output, or undefined if it ended before. */
  readonly firstLine: Promise<string | undefined>;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** Starts the command with `args`. */
export function startProgram({ entry }: Program, ...args: readonly string[]): Running {
  const child = spawn(process.execPath, [entry, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  child.stderr.on("data", (chunk: Buffer) => (output.stderr += chunk.toString()));
  const ended = once(child, "close").then(([code, signal]: (number | NodeJS.Signals | null)[]) => code ?? signal ?? null);
  const firstLine = new Promise<string | undefined>((resolve) => {
    child.stdout.on("data", (chunk: Buffer) => {
      output.stdout += chunk.toString();
      if (output.stdout.includes("\n")) resolve(output.stdout.split("\n")[0]);
    });
    void ended.then(() => {
      resolve(undefined);
    });
  });
  return {
    child,
    output,
    firstLine,
    ended,
    async kill(signal) {
      child.kill(signal);
      await ended;
    },
  };
}
