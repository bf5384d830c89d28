// Builds dist/ from the entries package.json names. `#defaults` stays an import: the consumer's platform picks its target.
import { defineConfig } from "tsup";
import { SOURCES } from "./scripts/entries.mjs";

export default defineConfig({
  entry: Object.fromEntries(SOURCES.map((source) => [source.replace(/^src\//u, "").replace(/\.ts$/u, ""), source])),
  format: ["esm"],
  target: "es2022",
  platform: "neutral",
  external: [/^node:/u, /^#/u],
  splitting: true,
  clean: true,
  // tsup itself sets `baseUrl`, which TypeScript 6 calls deprecated.
  dts: { compilerOptions: { ignoreDeprecations: "6.0" } },
});
