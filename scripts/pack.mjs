// The package as a stranger gets it: packed, looked through, installed into an empty project and a Vite app, imported on a server.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { CHROMIUM_ARGS, findBrowsers } from "./browsers.mjs";
import { MANIFEST, PUBLIC_ENTRIES, ROOT } from "./entries.mjs";
import { assertNoPeers } from "./peers.mjs";
import { run } from "./run.mjs";

/** Files beside dist/ that are handed out. */
const DOCUMENTS = ["package.json", "LICENSE", "README.md", "README.zh-CN.md", "CHANGELOG.md"];

/** @param {string} folder @returns {Promise<{ tarball: string, paths: string[] }>} the packed file, and what is in it */
async function pack(folder) {
  const [{ filename, files }] = JSON.parse(await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder]));
  return { tarball: path.join(folder, filename), paths: files.map((/** @type {{ path: string }} */ file) => file.path) };
}

/** @param {readonly string[]} paths */
function assertContents(paths) {
  const stray = paths.filter((name) => !DOCUMENTS.includes(name) && !/^dist\/.*\.(?:js|d\.ts)$/u.test(name));
  if (stray.length > 0) throw new Error(`not for consumers: ${stray.join(", ")}`);
  const built = PUBLIC_ENTRIES.map(([, source]) => source.replace(/^src/u, "dist").replace(/\.ts$/u, ""));
  const missing = [...DOCUMENTS, ...built.flatMap((name) => [`${name}.js`, `${name}.d.ts`])].filter((name) => !paths.includes(name));
  if (missing.length > 0) throw new Error(`missing from the package: ${missing.join(", ")}`);
}

/** @param {string} folder @param {readonly string[]} packages */
async function project(folder, packages) {
  mkdirSync(folder);
  writeFileSync(path.join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }));
  await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", ...packages], { cwd: folder });
  cpSync(`${ROOT}scripts/consumer`, folder, { recursive: true });
}

/** @param {string} folder a built Vite app; opens it in Chromium and waits for the title it sets */
async function titleOf(folder) {
  const [{ chromium }, { preview }, browsers] = await Promise.all([import("playwright"), import("vite"), findBrowsers()]);
  const found = browsers.find(({ engine }) => engine === "chromium");
  if (found === undefined) return undefined;
  const server = await preview({ root: folder, configFile: false, logLevel: "silent", preview: { host: "127.0.0.1", port: 0 } });
  const browser = await chromium.launch({ executablePath: found.path, args: CHROMIUM_ARGS });
  try {
    const page = await browser.newPage();
    await page.goto(server.resolvedUrls?.local[0] ?? "");
    await page.waitForFunction(() => document.title !== "…", undefined, { timeout: 60_000 });
    return await page.title();
  } finally {
    await browser.close();
    await server.close();
  }
}

/** @param {string} text what a round trip printed */
function assertRoundTrip(text) {
  if (!/^你好, Bob \| 你好, Alice \| \w+/u.test(text)) throw new Error(`the round trip gave: ${text}`);
}

/**
 * Checks of the packed package, in order, each throwing on failure. The later ones need the first. Temporary folders go when the process ends.
 * @returns {{ name: string, check: () => Promise<string | void> }[]}
 */
export function packChecks() {
  const folder = mkdtempSync(path.join(tmpdir(), "miyu-pack-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const empty = path.join(folder, "empty");
  const app = path.join(folder, "app");
  let tarball = "";
  return [
    {
      name: "npm pack holds what it should",
      check: async () => {
        const packed = await pack(folder);
        tarball = packed.tarball;
        assertContents(packed.paths);
        return `${packed.paths.length} files`;
      },
    },
    {
      name: "installed in an empty project: every subpath imports, two clients talk",
      check: async () => {
        const peers = Object.entries(MANIFEST.peerDependencies).map(([name, range]) => `${name}@${range}`);
        await project(empty, [tarball, ...peers]);
        assertNoPeers(path.join(empty, "node_modules/miyu/dist"));
        const lines = (await run("node", ["node.js"], { cwd: empty })).trim().split("\n");
        lines.forEach(assertRoundTrip);
        await run("node_modules/.bin/miyu", ["--help"], { cwd: empty });
        return lines.map((line) => line.split(" | ").at(-1)).join(", ");
      },
    },
    {
      name: "imported for server-side rendering: no global, no WebAssembly, no optional peer",
      check: async () => {
        await project(app, [tarball]);
        await run("node", ["serverSide.js"], { cwd: app });
        await run("node", ["--conditions=browser", "serverSide.js"], { cwd: app });
      },
    },
    {
      name: "in a Vite app: builds, runs in Chromium, holds no development peer",
      check: async () => {
        await run("vite", ["build", app, "--logLevel", "warn"], { cwd: app });
        assertNoPeers(path.join(app, "dist"));
        const title = await titleOf(app);
        if (title === undefined) return "built; not opened, no Chromium found";
        assertRoundTrip(title);
        return title.split(" | ").at(-1);
      },
    },
    {
      name: "the built demo holds no development peer",
      check: async () => {
        await run("vite", ["build", "examples/chat", "--logLevel", "warn"]);
        assertNoPeers(`${ROOT}examples/chat/dist`);
        const scripts = readdirSync(`${ROOT}examples/chat/dist`, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".js"));
        const bytes = scripts.reduce((sum, name) => sum + readFileSync(`${ROOT}examples/chat/dist/${name}`).length, 0);
        return `${scripts.length} scripts, ${Math.round(bytes / 1000)} kB`;
      },
    },
  ];
}
