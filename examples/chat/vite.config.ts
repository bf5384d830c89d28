// Builds the demo as an app would be built: `miyu` and its subpaths come from the package's `exports`, so build the package first.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  base: "./",
  build: {
    outDir: "dist",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Else the repository's tsconfig paths would stand in for a package that is not built, with the defaults of Node.
    rolldownOptions: { tsconfig: false },
  },
});
