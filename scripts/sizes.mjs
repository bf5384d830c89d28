// What each public subpath costs a browser: bundled and minified with esbuild, then gzip -9.
//
// Counted is what loads at once; code behind `import()` (the other provider, libsodium behind the root) loads only when it is called for.
import { gzipSync } from "node:zlib";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { PUBLIC_ENTRIES, ROOT, specifier } from "./entries.mjs";

/** Subpaths that run in Node only. */
const NODE_ONLY = ["./store/node", "./relay"];

/** What an app without WebAssembly loads. */
const COMBINED = { name: "root+protocol+noble", subpaths: [".", "./protocol", "./crypto/noble"] };

/**
 * What these modules cost together.
 * @param {readonly string[]} modules specifiers, as imported from the package's folder
 * @param {readonly string[]} [external] what they import and a browser does not have
 * @returns {Promise<{ min: number, gzip: number }>} bytes
 */
export async function sizeOf(modules, external = []) {
  const contents = modules.map((module, index) => `export * as part${index} from "${module}";`).join("\n");
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: ROOT },
    bundle: true,
    minify: true,
    splitting: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    outdir: "out",
    write: false,
    metafile: true,
    logLevel: "silent",
    external: [...external],
    // The paths of our own tsconfig.json lead to the sources, and `#defaults` to Node's.
    tsconfigRaw: {},
  });
  const outputs = new Map(Object.entries(metafile.outputs));
  const entry = [...outputs].find(([, output]) => output.entryPoint === "<stdin>")?.[0];
  const wanted = new Set(entry === undefined ? [] : [entry]);
  for (const name of wanted) {
    for (const { path, kind } of outputs.get(name)?.imports ?? []) if (kind === "import-statement" && outputs.has(path)) wanted.add(path);
  }
  const files = outputFiles.filter((file) => [...wanted].some((name) => file.path.endsWith(name)));
  const min = files.reduce((sum, file) => sum + file.contents.length, 0);
  const gzip = files.reduce((sum, file) => sum + gzipSync(file.contents, { level: 9 }).length, 0);
  return { min, gzip };
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
