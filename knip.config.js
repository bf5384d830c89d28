// Files, exports and dependencies that nothing uses. Public entries come from package.json.
import { SOURCES } from "./scripts/entries.mjs";

/** @type {import("knip").KnipConfig} */
const config = {
  entry: [...SOURCES.map((source) => `${source}!`), "scripts/consumer/*.js", "bench/*Child.mjs", "examples/chat/src/main.ts", "examples/chat/vite.config.ts", "test/browser/**/*.test.ts", "test/demo/**/*.test.ts"],
  project: ["src/**/*.ts!", "test/**/*.ts", "scripts/**/*.{js,mjs}", "examples/**/*.ts", "bench/**/*.{mjs,ts}"],
  // A type in the signature of an export is exported with it, whether or not another file names it.
  ignoreExportsUsedInFile: { interface: true, type: true },
  // libsodium: listed only so that a consumer gets the one that fits libsodium-wrappers. axe-core: read as text, into a page.
  ignoreDependencies: ["libsodium", "axe-core"],
};

export default config;
