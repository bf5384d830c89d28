// Chromium and Firefox, through Playwright.
import { chromium, firefox, type Browser, type BrowserContext, type ConsoleMessage, type Frame, type Locator, type Page } from "playwright";
import { CHROMIUM_ARGS, type FoundBrowser } from "../../scripts/browsers.mjs";
import { PATIENCE_MS, type Driver, type Key, type View, type Window } from "./driver.ts";

function launch(browser: FoundBrowser): Promise<Browser> {
  if (browser.engine === "firefox") {
    // Debian's Firefox is not Playwright's patched build: the channel selects WebDriver BiDi.
    return firefox.launch({ channel: "moz-firefox", executablePath: browser.path, timeout: 120_000 });
  }
  const args = browser.from === "@sparticuz/chromium" ? [...CHROMIUM_ARGS, "--no-zygote"] : CHROMIUM_ARGS;
  return chromium.launch({ executablePath: browser.path, args });
}

/** What both a page and a frame offer. */
interface Root {
  locate(selector: string): Locator;
  frame(): Promise<Frame>;
  readonly page: Page;
}

const viewOf = ({ locate, frame, page }: Root): View => ({
  click: (selector) => locate(selector).first().click({ timeout: PATIENCE_MS }),
  async type(selector, text) {
    await locate(selector).first().focus({ timeout: PATIENCE_MS });
    await page.keyboard.type(text);
  },
  press: (key: Key) => page.keyboard.press(key),
  async run<T>(body: string, ...args: readonly unknown[]) {
    const call = `(async (...args) => { ${body} })(...${JSON.stringify(args)})`;
    return (await frame()).evaluate<T>(call);
  },
});

function windowOf(page: Page): Window {
  const frameNamed = (name: string): Root => ({
    page,
    locate: (selector) => page.frameLocator(`iframe[name="${name}"]`).locator(selector),
    async frame() {
      const element = await page.waitForSelector(`iframe[name="${name}"]`, { state: "attached", timeout: PATIENCE_MS });
      const frame = await element.contentFrame();
      if (!frame) throw new Error(`no frame ${name}`);
      return frame;
    },
  });
  return {
    ...viewOf({ page, locate: (selector) => page.locator(selector), frame: () => Promise.resolve(page.mainFrame()) }),
    goto: async (url) => {
      await page.goto(url, { timeout: PATIENCE_MS });
    },
    frame: (name) => viewOf(frameNamed(name)),
    async resize(width, height) {
      await page.setViewportSize({ width, height });
      return page.evaluate(() => innerWidth);
    },
    screenshot: async (path) => {
      await page.screenshot({ path });
    },
    close: () => page.close(),
  };
}

/** Hash of the inline style Playwright tries to add while it takes a screenshot, and which the page's policy forbids it in Firefox. */
const PLAYWRIGHT_STYLE = "sha256-YjaKGiklmzC6wjXA513HAMmzus8VE61XCOT+SmwNZWA=";

/**
 * Whether a line of the console tells of an ordinary answer of the relay: "nobody of that name has keys yet" (404) and "somebody was
 * quicker" (409, 412) are part of its protocol, and browsers write both to the console.
 */
function isAnswer(message: ConsoleMessage): boolean {
  const { url } = message.location();
  return URL.canParse(url) && new URL(url).pathname.startsWith("/v1/") && /\b(?:404|409|412)\b/u.test(message.text());
}

/** Starts the browser. */
export async function playwrightDriver(found: FoundBrowser): Promise<Driver> {
  const browser = await launch(found);
  const isChromium = found.engine === "chromium";
  const problems: string[] = [];
  const sent: Buffer[] = [];
  const watch = (context: BrowserContext): void => {
    context.on("page", (page) => {
      page.on("pageerror", (error) => {
        if (!String(error).includes(PLAYWRIGHT_STYLE)) problems.push(`script: ${String(error)}`);
      });
      page.on("console", (message) => {
        if (message.type() === "error" && !isAnswer(message)) problems.push(`console: ${message.text()} (${message.location().url})`);
      });
      page.on("websocket", (socket) => {
        socket.on("framesent", ({ payload }) => sent.push(Buffer.from(payload)));
      });
    });
  };
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  watch(context);
  let dark: BrowserContext | undefined;
  return {
    problems,
    canBeDark: isChromium,
    get wire() {
      return isChromium ? Buffer.concat(sent) : undefined;
    },
    async newWindow(options) {
      if (options?.dark !== true) return windowOf(await context.newPage());
      if (!dark) watch((dark = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: "dark" })));
      return windowOf(await dark.newPage());
    },
    close: () => browser.close(),
  };
}
