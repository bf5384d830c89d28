// The vitest command `inNewTab`: a test inside a page gets a second tab of the same origin and profile to run code in.
import type { BrowserContext, Page } from "playwright";
import type { BrowserCommand } from "vitest/node";
import type { WebKitSession } from "./webdriver.ts";

declare module "vitest/browser" {
  interface BrowserCommands {
    /** Opens `path` (same origin) in a second tab and runs the body of an async function there; its result must be JSON. */
    inNewTab: <T>(path: string, body: string) => Promise<T>;
  }
}

interface PlaywrightCommand {
  readonly page: Page;
  readonly context: BrowserContext;
}

/** The sources a page gets from the test server go through the runner for every `import()`; a tab without one imports by itself. */
const RUNNER = "globalThis.__vitest_browser_runner__ ??= { wrapDynamicImport: (load) => load() };";

/** `inNewTab` over Playwright (Chromium, Firefox) or WebDriver (WebKit), whichever runs the page. */
export const inNewTab: BrowserCommand<[path: string, body: string]> = async (command, path, body) => {
  const { webkit } = command as unknown as { webkit?: WebKitSession };
  if (webkit) {
    const url = new URL(path, await webkit.get<string>("/url")).href;
    return webkit.inNewWindow(url, () => webkit.evaluate(`${RUNNER} ${body}`));
  }
  const { page, context } = command as unknown as PlaywrightCommand;
  const tab = await context.newPage();
  try {
    await tab.goto(new URL(path, page.url()).href);
    return await tab.evaluate(`(async () => { ${RUNNER} ${body} })()`);
  } finally {
    await tab.close();
  }
};
