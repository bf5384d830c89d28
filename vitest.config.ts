// One run, several projects: `node`, one per browser engine found (contracts inside a page), one per engine for the demo driven from Node.
// The groups run one after the other, so that two engines never compete for the machine.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig, type TestProjectConfiguration } from "vitest/config";
import type { BrowserProviderOption } from "vitest/node";
import { PUBLIC_ENTRIES, specifier } from "./scripts/entries.mjs";
import { CHROMIUM_ARGS, describeBrowsers, ENGINES, findBrowsers, type FoundBrowser } from "./scripts/browsers.mjs";
import { inNewTab } from "./test/support/newTab.ts";
import { CountsReporter } from "./test/support/reporter.ts";
import { webkitgtk } from "./test/support/webkitProvider.ts";

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Bare imports of `src` that are runtime dependencies: pre-bundled up front, or Vite would reload a page in the middle of its tests. */
function dependencyImports(): string[] {
  const { dependencies } = JSON.parse(readFileSync(file("package.json"), "utf8")) as { dependencies: Record<string, string> };
  const sources = readdirSync(file("src"), { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
  const imports = sources.flatMap((path) => [...readFileSync(file(`src/${path}`), "utf8").matchAll(/(?:from|import\()\s*"([^".#][^"]*)"/gu)]);
  const names = imports.map(([, name]) => name ?? "");
  return [...new Set(names)].filter((name) => Object.keys(dependencies).some((dependency) => name === dependency || name.startsWith(`${dependency}/`)));
}

/** Tests run on the sources: public subpaths and the platform's defaults are looked up there instead of in dist/. */
const sources = (platform: "node" | "browser"): { alias: { find: string | RegExp; replacement: string }[] } => ({
  alias: [
    { find: "#defaults", replacement: file(`src/defaults/${platform}.ts`) },
    ...PUBLIC_ENTRIES.map(([subpath, source]) => ({ find: new RegExp(`^${specifier(subpath)}$`, "u"), replacement: file(source) })),
  ],
});

function providerFor(browser: FoundBrowser): BrowserProviderOption {
  switch (browser.engine) {
    case "chromium": {
      const args = browser.from === "@sparticuz/chromium" ? [...CHROMIUM_ARGS, "--no-zygote"] : CHROMIUM_ARGS;
      return playwright({ launchOptions: { executablePath: browser.path, args } });
    }
    case "firefox":
      // Debian's Firefox is not Playwright's patched build: the channel selects WebDriver BiDi.
      return playwright({ launchOptions: { channel: "moz-firefox", executablePath: browser.path, timeout: 120_000 } });
    case "webkit":
      return webkitgtk({ binary: browser.path, driver: browser.driver ?? "WebKitWebDriver" });
  }
}

const inPage = (browser: FoundBrowser): TestProjectConfiguration => ({
  resolve: sources("browser"),
  optimizeDeps: { include: dependencyImports() },
  cacheDir: `node_modules/.vite-${browser.engine}`,
  test: {
    name: `page ${browser.engine}`,
    include: ["test/browser/**/*.test.ts"],
    sequence: { groupOrder: 1 + ENGINES.indexOf(browser.engine) },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      connectTimeout: 120_000,
      provider: providerFor(browser),
      commands: { inNewTab },
      instances: [{ browser: browser.engine, name: browser.engine }],
    },
  },
});

const demo = (browser: FoundBrowser): TestProjectConfiguration => ({
  test: {
    name: `demo ${browser.engine}`,
    include: ["test/demo/**/*.test.ts"],
    sequence: { groupOrder: 11 + ENGINES.indexOf(browser.engine) },
    environment: "node",
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    globalSetup: "test/support/demo.ts",
    provide: { browser },
  },
});

const found = await findBrowsers();

export default defineConfig({
  test: {
    projects: [
      {
        resolve: sources("node"),
        test: { name: "node", include: ["test/**/*.test.ts"], exclude: ["test/browser/**", "test/demo/**"], environment: "node", testTimeout: 60_000 },
      },
      ...found.map(inPage),
      ...found.map(demo),
    ],
    reporters: ["default", new CountsReporter(describeBrowsers(found))],
  },
});
