// Typed lint rules for everything in TypeScript, and the house rules that a syntax tree can show. Import rules: test/architecture.test.ts.
import js from "@eslint/js";
import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

const NO_DEFAULT_EXPORT = { selector: "ExportDefaultDeclaration", message: "Export by name." };
const NO_STAR_EXPORT = { selector: "ExportAllDeclaration", message: "List exports by hand." };

/** The pure core: bytes and a state go in, bytes and a new state come out. */
const NOT_IN_THE_CORE = ["Date", "performance", "crypto", "globalThis", "self", "window", "process", "fetch", "indexedDB", "navigator", "WebAssembly",
  "WebSocket", "setTimeout", "setInterval", "setImmediate", "queueMicrotask", "console"];
const NO_ASYNC = [":function[async=true]", "AwaitExpression", "ForOfStatement[await=true]", "NewExpression[callee.name='Promise']"].map((selector) => ({
  selector,
  message: "Protocol and envelope code is synchronous.",
}));

/** Globals of the plain JavaScript files: Node's, and those of a page for code handed to a browser. */
const GLOBALS = ["process", "console", "Buffer", "URL", "URLSearchParams", "TextEncoder", "TextDecoder", "performance", "crypto", "fetch", "structuredClone",
  "WebAssembly", "AbortController", "AbortSignal", "setTimeout", "clearTimeout", "setInterval", "clearInterval", "setImmediate", "queueMicrotask",
  "globalThis", "document", "window", "indexedDB"];

export default defineConfig(
  { ignores: ["**/dist/**", "docs/api/**", "artifacts/**", "coverage/**", "bench/.cache/**"] },
  { linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: "error" } },
  js.configs.recommended,
  {
    files: ["**/*.{js,mjs}"],
    languageOptions: { globals: Object.fromEntries(GLOBALS.map((name) => [name, "readonly"])) },
    rules: { eqeqeq: "error" },
  },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: "error",
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: true }],
      // A type parameter used once still names what the caller asks for: `get<T>(path): Promise<T>`.
      "@typescript-eslint/no-unnecessary-type-parameters": "off",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // An adapter's `async` turns what it throws into a rejection, with or without an `await`.
      "@typescript-eslint/require-await": "off",
      // What we hand out are plain objects of functions (`Crypto`, every factory's result), which have no `this` to lose.
      "@typescript-eslint/unbound-method": "off",
      // A callback may return nothing or a promise: `void | Promise<void>`.
      "@typescript-eslint/no-invalid-void-type": "off",
      // `Record<never, never>` is how an error code without facts is typed.
      "@typescript-eslint/no-generated-empty-object-type": "off",
      // Rethrowing what was caught.
      "@typescript-eslint/only-throw-error": ["error", { allowThrowingUnknown: true, allowThrowingAny: false, allowRethrowing: true }],
    },
  },
  {
    files: ["src/**/*.ts"],
    rules: { "no-console": "error", "no-restricted-syntax": ["error", NO_DEFAULT_EXPORT, NO_STAR_EXPORT] },
  },
  {
    files: ["src/protocol/**/*.ts", "src/envelope/**/*.ts"],
    rules: {
      "no-restricted-globals": ["error", ...NOT_IN_THE_CORE],
      "no-restricted-properties": ["error", { object: "Math", property: "random" }],
      "no-restricted-syntax": ["error", NO_DEFAULT_EXPORT, NO_STAR_EXPORT, ...NO_ASYNC],
    },
  },
  {
    files: ["test/**/*.ts", "bench/**/*.ts"],
    rules: {
      // A test that indexes past the end fails on the next line anyway.
      "@typescript-eslint/no-non-null-assertion": "off",
    },
  },
);
