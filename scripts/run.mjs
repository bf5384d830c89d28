// Runs a command of the project and keeps its output to itself unless it fails.
import { spawn } from "node:child_process";
import process from "node:process";
import { ROOT } from "./entries.mjs";

/**
 * Resolves to the standard output of `command`; rejects with everything it printed if it fails.
 * Programs of node_modules are found by name.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: Record<string, string> }} [options]
 * @returns {Promise<string>}
 */
export function run(command, args, { cwd = ROOT, env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const PATH = `${ROOT}node_modules/.bin:${process.env.PATH ?? ""}`;
    const child = spawn(command, args, { cwd, env: { ...process.env, PATH, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let everything = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
      everything += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      everything += text;
    });
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${command} ${args.join(" ")} ended with ${signal ?? `status ${code}`}\n${everything.trim()}`));
    });
  });
}
