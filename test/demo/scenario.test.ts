// The demo as a visitor uses it, in a real browser: the same story in every engine, told to the demo as `npm start` runs it.
// The steps build on each other; screenshots are left in artifacts/demo.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { type Driver, type View, waitFor, type Window } from "./driver.ts";
import { playwrightDriver } from "./playwrightDriver.ts";
import { webkitDriver } from "./webkitDriver.ts";

const browser = inject("browser");
const demoUrl = inject("demoUrl");
const shots = fileURLToPath(new URL("../../artifacts/demo/", import.meta.url));
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const PLANTED = `planted-${crypto.randomUUID()}`;
const TEXTS = {
  plain: `Meet me by the old mill, ${PLANTED}`,
  chinese: "今晚老地方见，别告诉别人。密语只有你我知道，路上的人一个字也看不懂。",
  arabic: "السر بيننا فقط، لا تخبر أحدًا",
  emoji: "👩‍👩‍👧‍👦🏳️‍🌈👍🏽 🤫🌙 e\u0301",
  mixed: "Bob wrote: مرحبا, then 你好 — <b>not bold</b> & \u202Dsafe\u202C",
  long: `${"a word and 另一个 and كلمة ".repeat(400).slice(0, 9_990)} the end.`,
} as const;

const MESSAGES = `return [...document.querySelectorAll(".message .text")].map((text) => text.textContent);`;

/** Texts of the messages on screen, oldest first. */
const messages = (view: View): Promise<string[]> => view.run<string[]>(MESSAGES);

/** Waits until `text` is the last message on screen. */
const sees = (view: View, text: string): Promise<unknown> =>
  waitFor(view, `the message ${JSON.stringify(text.slice(0, 40))}`, `const all = (() => { ${MESSAGES} })(); return all.at(-1) === args[0];`, text);

/** Waits until all own messages on screen are marked as `words`. */
const ticks = (view: View, words: string): Promise<unknown> =>
  waitFor(view, `own messages marked ${words}`, `const ticks = [...document.querySelectorAll(".own .tick")]; return ticks.length > 0 && ticks.every((tick) => tick.textContent === args[0]);`, words);

const state = (view: View, words: string): Promise<unknown> => waitFor(view, `the state "${words}"`, `return document.querySelector(".state")?.textContent === args[0];`, words);

const ready = (view: View): Promise<unknown> =>
  waitFor(view, "a connected chat", `return document.querySelector(".state")?.dataset.state === "online" && document.querySelector(".composer textarea") !== null;`);

/** Pastes `text` and sends it with the button. */
async function say(view: View, text: string): Promise<void> {
  await view.run(`const field = document.querySelector(".composer textarea"); field.value = args[0]; field.dispatchEvent(new Event("input", { bubbles: true }));`, text);
  await view.click(".composer .send");
}

/** Names of the serious and critical violations axe finds. */
async function violations(view: View): Promise<string[]> {
  await view.run(`${axeSource}; window.axe = window.axe ?? globalThis.axe;`);
  return view.run<string[]>(`
    await Promise.race([Promise.all(document.getAnimations().map(({ finished }) => finished)), new Promise((resolve) => setTimeout(resolve, 2_000))]);
    const { violations } = await window.axe.run(document, { iframes: false, resultTypes: ["violations"] });
    return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, nodes }) => id + ": " + nodes.map(({ html, failureSummary }) => html.slice(0, 120) + " (" + failureSummary.slice(0, 200) + ")").join("; "));`);
}

/** Sixty digits from an open dialog. */
const digits = (view: View): Promise<string> => waitFor<string>(view, "the safety number", `return document.querySelector("dialog .digits")?.textContent.replaceAll(" ", "");`);

const fits = (view: View): Promise<boolean> =>
  view.run<boolean>(`const page = document.scrollingElement; const log = document.querySelector(".log"); return page.scrollWidth <= innerWidth && (!log || log.scrollWidth <= log.clientWidth);`);

/** The relay's own tap, listened to from outside the browser for the whole story. */
function listenToTap(): { readonly text: () => string; readonly close: () => void } {
  const abort = new AbortController();
  let text = "";
  void (async () => {
    const { body } = await fetch(new URL("/demo/tap", demoUrl), { signal: abort.signal });
    const decoder = new TextDecoder();
    for await (const chunk of body ?? []) text += decoder.decode(chunk, { stream: true });
  })().catch((error: unknown) => {
    if (!abort.signal.aborted) throw error;
  });
  return { text: () => text, close: () => { abort.abort(); } };
}

describe(`the demo in ${browser.engine}`, () => {
  let driver: Driver;
  let page: Window;
  let alice: View;
  let bob: View;
  let tap: ReturnType<typeof listenToTap>;

  /** Leaves a screenshot once nothing moves any more. */
  async function shot(window: Window, name: string): Promise<void> {
    await window.run(`
      const documents = [document, ...[...document.querySelectorAll("iframe")].map(({ contentDocument }) => contentDocument)];
      const still = Promise.all(documents.flatMap((one) => one.getAnimations()).map(({ finished }) => finished));
      await Promise.race([still, new Promise((resolve) => setTimeout(resolve, 2_000))]); // what is not on screen may never move on
      await new Promise((resolve) => setTimeout(resolve, 600));`);
    await window.screenshot(`${shots}${browser.engine}-${name}.png`);
  }


  beforeAll(async () => {
    mkdirSync(shots, { recursive: true });
    tap = listenToTap();
    driver = await (browser.engine === "webkit" ? webkitDriver(browser) : playwrightDriver(browser));
    page = await driver.newWindow();
    await page.resize(1360, 860);
    alice = page.frame("alice");
    bob = page.frame("bob");
  });

  afterAll(async () => {
    tap.close();
    await driver.close();
  });

  test("opens with two people connected", async () => {
    await page.goto(demoUrl);
    await ready(alice);
    await ready(bob);
    await shot(page, "wide-start");
    expect(await page.run("return document.querySelector('h1').textContent;")).toContain("Miyu");
  });

  test("carries a message typed and sent with the keyboard alone", async () => {
    await alice.type(".composer textarea", TEXTS.plain);
    await alice.press("Enter");
    await sees(alice, TEXTS.plain);
    await sees(bob, TEXTS.plain);
    await ticks(alice, "sent");
  });

  test.each(["chinese", "arabic", "emoji", "mixed", "long"] as const)("carries %s text to the other side unchanged", async (name) => {
    await say(bob, TEXTS[name]);
    await sees(alice, TEXTS[name]);
    await ticks(bob, "sent");
    expect(await fits(alice)).toBe(true);
    expect(await fits(bob)).toBe(true);
    expect(await alice.run("return document.querySelectorAll('.message b').length;")).toBe(0);
    const direction = await alice.run<string>("return getComputedStyle([...document.querySelectorAll('.message .text')].at(-1)).direction;");
    expect(direction).toBe(name === "arabic" ? "rtl" : "ltr");
  });

  test("a long text unfolds", async () => {
    expect(await alice.run("return document.querySelectorAll('.text.folded').length;")).toBe(1);
    await alice.click(".unfold");
    expect(await alice.run("return document.querySelectorAll('.text.folded').length;")).toBe(0);
    expect(await alice.run("return document.querySelector('.unfold').getAttribute('aria-expanded');")).toBe("true");
    await alice.click(".unfold");
  });

  test("leaves Enter to an input method that composes, and makes lines with Shift", async () => {
    const before = (await messages(alice)).length;
    const field = `const field = document.querySelector(".composer textarea"); field.value = "ni"; field.dispatchEvent(new Event("input"));`;
    await alice.run(`${field} field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", isComposing: true, cancelable: true, bubbles: true }));`);
    await alice.run(`${field} field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", keyCode: 229, cancelable: true, bubbles: true }));`);
    await alice.run(`${field} field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", shiftKey: true, cancelable: true, bubbles: true }));`);
    expect(await alice.run(`const kept = document.querySelector(".composer textarea").value; return kept;`)).toBe("ni");
    expect((await messages(alice)).length).toBe(before);
    await alice.run(`const field = document.querySelector(".composer textarea"); field.value = ""; field.dispatchEvent(new Event("input"));`);
  });

  test("keeps messages for someone who is offline, and delivers them in order", async () => {
    await bob.click(".switch");
    await state(bob, "offline");
    for (const number of [1, 2, 3]) await say(alice, `while you were away ${String(number)}`);
    await ticks(alice, "sent");
    await say(bob, "from the tunnel");
    await ticksLast(bob, "waiting");
    await waitFor(page, "three messages waiting at the relay", `return document.querySelectorAll(".frame.held").length === 3;`);
    await shot(page, "wide-offline");
    expect((await messages(bob)).some((text) => text.startsWith("while you were away"))).toBe(false);
    await bob.click(".switch");
    await state(bob, "connected");
    await sees(alice, "from the tunnel");
    await sees(bob, "while you were away 3");
    await ticks(bob, "sent");
    expect((await messages(bob)).slice(-4)).toEqual(["from the tunnel", "while you were away 1", "while you were away 2", "while you were away 3"]);
    await waitFor(page, "nothing waiting at the relay", `return document.querySelectorAll(".frame.held").length === 0;`);
  });

  test("has history and sessions after a reload of each, and goes on", async () => {
    const aliceBefore = await messages(alice);
    const bobBefore = await messages(bob);
    await reload("alice");
    await reload("bob");
    await waitFor(alice, "Alice's history", `return document.querySelectorAll(".message").length === args[0];`, aliceBefore.length);
    await waitFor(bob, "Bob's history", `return document.querySelectorAll(".message").length === args[0];`, bobBefore.length);
    expect((await messages(alice)).toSorted()).toEqual(aliceBefore.toSorted());
    expect((await messages(bob)).toSorted()).toEqual(bobBefore.toSorted());
    await say(alice, "still here?");
    await sees(bob, "still here?");
    await say(bob, "still here.");
    await sees(alice, "still here.");
    await ticks(alice, "sent");
  });

  test("delivers what was sent while the other page was being reloaded", async () => {
    await reloading("bob", async () => {
      await page.run("frames.bob.location.reload();");
      await say(alice, "sent into a reload");
    });
    await sees(bob, "sent into a reload");
  });

  test("shows the same safety number to both, and remembers that it was compared", async () => {
    await alice.click(".talk-tools button");
    await bob.click(".talk-tools button");
    const [hers, his] = [await digits(alice), await digits(bob)];
    expect(hers).toMatch(/^\d{60}$/u);
    expect(hers).toBe(his);
    await shot(page, "wide-safety");
    expect(await violations(alice)).toEqual([]);
    await alice.click("dialog .primary");
    await waitFor(alice, "the number verified", `return document.querySelector("dialog .trust")?.dataset.trust === "verified";`);
    await alice.click("dialog [aria-label=Close]");
    await bob.click("dialog [aria-label=Close]");
    await reload("alice");
    await alice.click(".talk-tools button");
    await waitFor(alice, "the number still verified", `return document.querySelector("dialog .trust")?.dataset.trust === "verified";`);
    await alice.press("Escape");
    await waitFor(alice, "the dialog closed", `return document.querySelector("dialog") === null;`);
  });

  test("says what it runs on and what is weaker", async () => {
    await bob.click(".talk-tools button:last-child");
    const text = await waitFor<string>(bob, "the details", `return document.querySelector("dialog .details dl") && document.querySelector("dialog").textContent;`);
    expect(text).toContain("Double Ratchet");
    expect(text).toMatch(/libsodium|noble/u);
    await shot(page, "wide-details");
    await bob.click("dialog [aria-label=Close]");
  });

  test("has no serious accessibility violation", async () => {
    expect(await violations(page)).toEqual([]);
    expect(await violations(alice)).toEqual([]);
    expect(await violations(bob)).toEqual([]);
  });

  test("fits a phone-wide window, with tabs", async () => {
    const width = await page.resize(360, 740);
    await shot(page, "narrow-alice");
    expect(width).toBeLessThan(768);
    const shown = `return [...document.querySelectorAll(".pane")].filter((pane) => pane.getClientRects().length > 0).map((pane) => pane.id);`;
    expect(await page.run(shown)).toEqual(["alice"]);
    expect(await fits(page)).toBe(true);
    expect(await fits(alice)).toBe(true);
    await say(alice, "from my phone");
    await sees(bob, "from my phone");
    await page.click("#tab-relay");
    expect(await page.run(shown)).toEqual(["relay"]);
    expect(await fits(page)).toBe(true);
    await shot(page, "narrow-relay");
    expect(await violations(page)).toEqual([]);
    await page.click("#tab-bob");
    expect(await page.run(shown)).toEqual(["bob"]);
    await sees(bob, "from my phone");
    await shot(page, "narrow-bob");
    expect(await violations(bob)).toEqual([]);
    await page.resize(1360, 860);
    await shot(page, "wide-talk");
  });

  test("opens as two windows of their own, and the older one steps back", async () => {
    const aliceWindow = await driver.newWindow();
    const bobWindow = await driver.newWindow();
    await aliceWindow.goto(`${demoUrl}?user=alice`);
    await bobWindow.goto(`${demoUrl}?user=bob`);
    await ready(aliceWindow);
    await ready(bobWindow);
    await waitFor(alice, "the pane stepping back", `return document.querySelector(".elsewhere") !== null;`);
    await sees(aliceWindow, "from my phone");
    await say(aliceWindow, "now from a window of my own");
    await sees(bobWindow, "now from a window of my own");
    await say(bobWindow, "mine too");
    await sees(aliceWindow, "mine too");
    await aliceWindow.resize(1100, 760);
    await shot(aliceWindow, "window-wide");
    expect(await violations(aliceWindow)).toEqual([]);
    await bobWindow.resize(360, 740);
    await shot(bobWindow, "window-narrow");
    expect(await fits(bobWindow)).toBe(true);
    await shot(page, "wide-elsewhere");
    expect(await violations(alice)).toEqual([]);
    await bobWindow.close();
    await aliceWindow.close();
    await reloading("alice", () => alice.click(".elsewhere button"));
    await sees(alice, "mine too");
  });

  test("starts a conversation with anyone by name", async () => {
    const carol = await driver.newWindow();
    const dave = await driver.newWindow();
    await carol.goto(`${demoUrl}?user=carol`);
    await carol.type(".rail input", "戴夫");
    await carol.press("Enter");
    await ready(carol);
    await say(carol, "hello before you were here");
    await ticks(carol, "waiting");
    await dave.goto(`${demoUrl}?user=${encodeURIComponent("戴夫")}`);
    await sees(dave, "hello before you were here");
    await say(dave, "你好");
    await sees(carol, "你好");
    await dave.close();
    await carol.close();
  });

  test.skipIf(browser.engine !== "chromium")("keeps its contrast in the dark (asked of Chromium only: the other two cannot be told)", async () => {
    const window = await driver.newWindow({ dark: true });
    await window.goto(demoUrl);
    const [left, right] = [window.frame("alice"), window.frame("bob")];
    await ready(left);
    await ready(right);
    await say(left, TEXTS.chinese);
    await say(left, TEXTS.arabic);
    await waitFor(right, "two messages", `return document.querySelectorAll(".message").length >= 2;`);
    await say(right, TEXTS.emoji);
    await sees(left, TEXTS.emoji);
    await ticks(left, "sent");
    await left.click(".talk-tools button");
    await digits(left);
    await shot(window, "dark");
    for (const view of [window, left, right]) expect(await violations(view)).toEqual([]);
    await window.close();
  });

  test("never showed the relay a word", async () => {
    const seen = tap.text();
    expect(seen.split('"kind":"send"').length).toBeGreaterThan(10);
    const panel = await page.run<string>("return document.querySelector('.relay').textContent;");
    for (const text of [PLANTED, TEXTS.chinese.slice(0, 8), "still here"]) {
      const hex = Buffer.from(text).toString("hex");
      for (const form of [text, hex, hex.replaceAll(/(..)(?=.)/gu, "$1 ")]) {
        expect(seen).not.toContain(form);
        expect(panel).not.toContain(form);
      }
      // What left the browser, whole, where the engine lets it be seen.
      expect(driver.wire?.includes(Buffer.from(text)) ?? false).toBe(false);
      expect(driver.wire?.includes(Buffer.from(text.slice(0, 24)).toString("base64").slice(2, 28)) ?? false).toBe(false);
    }
    if (driver.wire) expect(driver.wire.length).toBeGreaterThan(10_000);
  });

  test("had no script error, no console error and nothing against the content policy", () => {
    expect(driver.problems).toEqual([]);
  });

  async function ticksLast(view: View, words: string): Promise<void> {
    await waitFor(view, `the last own message marked ${words}`, `return [...document.querySelectorAll(".own .tick")].at(-1)?.textContent === args[0];`, words);
  }

  /**
   * Runs `start`, which makes a pane load anew, and waits until it has. The pane is watched from the page around it:
   * WebKit's driver never answers a command that meets a document on its way out.
   */
  async function reloading(name: "alice" | "bob", start: () => Promise<unknown>): Promise<void> {
    await page.run("frames[args[0]].before = true;", name);
    await start();
    await waitFor(
      page,
      `${name}'s pane to be new`,
      `const { before, document: pane } = frames[args[0]];
       return before === undefined && pane.readyState === "complete" && pane.querySelector(".state")?.dataset.state === "online" && pane.querySelector(".composer") !== null;`,
      name,
    );
  }

  /** Presses a pane's own reload button and waits for the new document. */
  const reload = (name: "alice" | "bob"): Promise<void> => reloading(name, () => (name === "alice" ? alice : bob).click(".self-tools button"));
});
