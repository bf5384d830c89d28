// What each public subpath costs a browser: bundled and minified with esbuild, then gzip -9.
//
// Counted is what loads at once, in one file, as a bundler makes it; code behind `import()` (providers and the store behind the root,
// rarely called parts of a client) loads only when it is called for.
import { gzipSync } from "node:zlib";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { PUBLIC_ENTRIES, ROOT, specifier } from "./entries.mjs";

/** Subpaths that run in Node only. */
const NODE_ONLY = ["./store/node", "./relay"];

/** What an app without WebAssembly loads. */
const COMBINED = { name: "root+protocol+noble", subpaths: [".", "./protocol", "./crypto/noble"] };

/** Leaves what is behind `import()` out. @type {import("esbuild").Plugin} */
const loadsLater = {
  name: "loads later",
  setup(bundler) {
    bundler.onResolve({ filter: /^/ }, ({ kind, path }) => (kind === "dynamic-import" ? { path, external: true } : undefined));
  },
};

/**
 * What these modules cost together.
 * @param {readonly string[]} modules specifiers, as imported from the package's folder
 * @param {readonly string[]} [external] what they import and a browser does not have
 * @returns {Promise<{ min: number, gzip: number }>} bytes
 */
export async function sizeOf(modules, external = []) {
  const contents = modules.map((module) => `export * from "${module}";`).join("\n");
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: ROOT },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    write: false,
    logLevel: "silent",
    external: [...external],
    plugins: [loadsLater],
    // The paths of our own tsconfig.json lead to the sources, and `#defaults` to Node's.
    tsconfigRaw: {},
  });
  const [{ contents: bundle }] = outputFiles;
  return { min: bundle.length, gzip: gzipSync(bundle, { level: 9 }).length };
}

/**
 * Sizes of every subpath a browser can load, and of the three together that an app without WebAssembly needs. Needs dist/.
 * @returns {Promise<{ name: string, min: number, gzip: number }[]>} bytes; `name` as in `root`, `store/indexeddb`
 */
export async function bundleSizes() {
  const rows = [];
  for (const [subpath] of PUBLIC_ENTRIES.filter(([name]) => !NODE_ONLY.includes(name))) {
    rows.push({ name: subpath === "." ? "root" : subpath.slice(2), ...(await sizeOf([specifier(subpath)])) });
  }
  rows.push({ name: COMBINED.name, ...(await sizeOf(COMBINED.subpaths.map(specifier))) });
  return rows;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { name, min, gzip } of await bundleSizes()) {
    process.stdout.write(`${name.padEnd(24)} ${String(min).padStart(9)} B minified ${String(gzip).padStart(9)} B gzip\n`);
  }
}
