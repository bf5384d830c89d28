// The package's entries, derived from package.json: what `exports`, `imports` and `bin` name in dist/ is built from the same path in src/.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The package's folder, absolute, with a closing slash. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** @type {{ name: string, exports: Record<string, unknown>, imports: Record<string, unknown>, bin: Record<string, string>, dependencies: Record<string, string>, peerDependencies: Record<string, string>, devDependencies: Record<string, string> }} */
export const MANIFEST = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8"));

/** @param {unknown} target a path, or an object of conditions; @returns {string[]} every path in it */
const targets = (target) => (typeof target === "string" ? [target] : Object.values(target ?? {}).flatMap(targets));

/** @param {unknown} target @returns {string[]} the built modules in it */
const modules = (target) => [...new Set(targets(target))].filter((path) => path.startsWith("./dist/") && path.endsWith(".js"));

/** @param {string} path `./dist/store/memory.js` @returns {string} `src/store/memory.ts` */
const sourceOf = (path) => path.replace(/^\.\/dist\//u, "src/").replace(/\.js$/u, ".ts");

/** Public subpaths and their sources: `[".", "src/index.ts"]` and so on, without `./package.json`. */
export const PUBLIC_ENTRIES = Object.entries(MANIFEST.exports).flatMap(([subpath, target]) =>
  modules(target).map((path) => /** @type {const} */ ([subpath, sourceOf(path)])),
);

/** Sources of everything that is built: public subpaths, targets of `imports`, the command line. */
export const SOURCES = [...new Set([MANIFEST.exports, MANIFEST.imports, MANIFEST.bin].flatMap(modules).map(sourceOf))];

/** @param {string} subpath `./store/memory` @returns {string} `miyu/store/memory` */
export const specifier = (subpath) => MANIFEST.name + subpath.slice(1);
