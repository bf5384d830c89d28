// WebKit, through WebDriver. Problems are collected by listeners placed after a page has loaded, which is as early as WebDriver allows.
import { writeFile } from "node:fs/promises";
import type { FoundBrowser } from "../../scripts/browsers.mjs";
import { WebKitSession } from "../support/webdriver.ts";
import { PATIENCE_MS, type Driver, type Key, type View, type Window } from "./driver.ts";

/** The name WebDriver gives the one member of an element reference. */
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";
const KEYS: Readonly<Record<Key, string>> = { Enter: "\uE007", Tab: "\uE004", Escape: "\uE00C", Space: " " };

type ElementReference = Readonly<Record<typeof ELEMENT, string>>;

const LISTEN = `
  if (!window.seenProblems) {
    window.seenProblems = [];
    addEventListener("error", (event) => { window.seenProblems.push("script: " + event.message); });
    addEventListener("unhandledrejection", (event) => { window.seenProblems.push("rejection: " + event.reason); });
    addEventListener("securitypolicyviolation", (event) => { window.seenProblems.push("policy: " + event.violatedDirective + " " + event.blockedURI); });
  }
  return window.seenProblems.splice(0);`;

/** Starts the browser. */
export async function webkitDriver(found: FoundBrowser): Promise<Driver> {
  const session = await WebKitSession.open({ binary: found.path, driver: found.driver ?? "WebKitWebDriver" });
  const problems: string[] = [];
  let first: string | undefined = await session.get<string>("/window");

  function windowOf(handle: string): Window {
    /** Makes the window, and in it the frame, the one commands go to. */
    async function enter(frame: string | undefined): Promise<void> {
      await session.post("/window", { handle });
      await session.post("/frame", { id: null });
      if (frame === undefined) return;
      await session.post("/frame", { id: await find(`iframe[name="${frame}"]`) });
    }

    async function find(selector: string): Promise<ElementReference> {
      const deadline = Date.now() + PATIENCE_MS;
      for (;;) {
        try {
          return await session.post<ElementReference>("/element", { using: "css selector", value: selector });
        } catch (error) {
          if (Date.now() > deadline) throw error;
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    }

    const viewOf = (frame: string | undefined): View => {
      const view: View = {
        async click(selector) {
          await enter(frame);
          await session.post(`/element/${(await find(selector))[ELEMENT]}/click`);
        },
        async type(selector, text) {
          await enter(frame);
          await session.post(`/element/${(await find(selector))[ELEMENT]}/value`, { text });
        },
        async press(key) {
          await enter(frame);
          const value = KEYS[key];
          await session.post("/actions", { actions: [{ type: "key", id: "keyboard", actions: [{ type: "keyDown", value }, { type: "keyUp", value }] }] });
        },
        async run<T>(body: string, ...args: readonly unknown[]) {
          await enter(frame);
          problems.push(...(await session.evaluate<string[]>(LISTEN)));
          return session.evaluate<T>(body, ...args);
        },
      };
      return view;
    };

    return {
      ...viewOf(undefined),
      frame: (name) => viewOf(name),
      async goto(url) {
        await session.post("/window", { handle });
        await session.post("/url", { url });
        problems.push(...(await session.evaluate<string[]>(LISTEN)));
      },
      async resize(width, height) {
        await enter(undefined);
        const [outerX, outerY] = await session.evaluate<[number, number]>("return [outerWidth - innerWidth, outerHeight - innerHeight];");
        await session.post("/window/rect", { width: width + outerX, height: height + outerY });
        return session.evaluate<number>("return innerWidth;");
      },
      async screenshot(path) {
        await enter(undefined);
        await writeFile(path, Buffer.from(await session.get<string>("/screenshot"), "base64"));
      },
      async close() {
        await session.post("/window", { handle });
        await session.delete("/window");
      },
    };
  }

  return {
    problems,
    canBeDark: false,
    wire: undefined,
    async newWindow() {
      if (first !== undefined) {
        const handle = first;
        first = undefined;
        return windowOf(handle);
      }
      const handles = await session.get<string[]>("/window/handles");
      await session.post("/window", { handle: handles[0] });
      const { handle } = await session.post<{ handle: string }>("/window/new", { type: "window" });
      return windowOf(handle);
    },
    close: () => session.close(),
  };
}
