import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { alias: { "#defaults": fileURLToPath(new URL("src/defaults/node.ts", import.meta.url)) } },
  test: { include: ["test/**/*.test.ts"], exclude: ["test/browser/**"], environment: "node" },
});
