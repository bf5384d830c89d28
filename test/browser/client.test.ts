/** A client with its defaults in a real browser: IndexedDB under a key that cannot be exported, libsodium, two people, a reload, a second tab. */
import { createClient, type Client } from "miyu";
import { memoryStore } from "miyu/store/memory";
import { memoryNetwork } from "miyu/transport/memory";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { commands } from "vitest/browser";
import { listen, messageKeysOf, until } from "../client/world.ts";

const open: Client[] = [];
let alice: string;
beforeEach(() => {
  alice = `alice ${crypto.randomUUID()}`;
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.close()));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`miyu/db/v1\0${alice}`));
  const name = `miyu-${btoa(String.fromCharCode(...new Uint8Array(digest))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
  const names = (await indexedDB.databases()).map((database) => database.name);
  // Under the name that docs and other tabs rely on.
  expect(names).toContain(name);
  indexedDB.deleteDatabase(name);
});

async function join(network: ReturnType<typeof memoryNetwork>, user: string, options = {}): Promise<Client> {
  const client = await createClient({ user, adapter: network.adapter(user), ...options });
  open.push(client);
  return client;
}

const bytesOf = (text: string): Uint8Array => Uint8Array.from(atob(text.slice("miyu1.".length).replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));

describe("client with its defaults", () => {
  test("two people talk; after closing and opening again history and sessions are there", async () => {
    const network = memoryNetwork();
    const first = await join(network, alice);
    expect(first.crypto.name).toBe("sodium");
    expect(first.protection).toMatch(/^(crypto-key|key-record)$/);
    const bob = await join(network, "bob", { store: memoryStore() });
    const [atAlice, atBob] = [listen(first), listen(bob)];
    await (await first.send("bob", "你好 👋")).accepted();
    await until("bob heard", () => atBob.messages.length === 1);
    await bob.send(alice, "hello");
    await until("alice heard", () => atAlice.messages.length === 1);
    expect([atBob.texts(), atAlice.texts()]).toEqual([["你好 👋"], ["hello"]]);
    const number = (await first.safetyNumber("bob")).digits;
    expect((await bob.safetyNumber(alice)).digits).toBe(number);
    // Asking for the next event took the message; the row goes in a transaction of its own.
    await until("the inbox is empty", async () => (await first.history({ conversation: "bob" })).length === 2);
    await first.close();
    await bob.send(alice, "while you were away");
    const again = await join(network, alice);
    expect(again.device).toBe(first.device);
    const atAgain = listen(again);
    await until("alice heard the rest", () => atAgain.texts().includes("while you were away"));
    expect((await again.history({ conversation: "bob" })).map((message) => message.text)).toEqual(["你好 👋", "hello", "while you were away"]);
    expect((await again.safetyNumber("bob")).digits).toBe(number);
    await again.send("bob", "back");
    await until("bob heard", () => atBob.texts().includes("back"));
  });

  test("a second tab of the same device seals at the same time: no message key twice, everything opens", async () => {
    const count = 100;
    const network = memoryNetwork();
    const here = await join(network, alice);
    const bob = await join(network, "bob", { store: memoryStore() });
    const [atAlice, atBob] = [listen(here), listen(bob)];
    await here.send("bob", "hello");
    await until("bob heard", () => atBob.messages.length === 1);
    await bob.send(alice, "hello");
    await until("the session has met", () => atAlice.messages.length === 1);
    // The other tab has the same database and no network: sessions are all it needs.
    const there = commands.inNewTab<{ device: string; texts: string[] }>("/test/browser/blank.html", `
      // What the test runner puts around dynamic imports of the modules it serves; it does not run in this tab.
      globalThis.__vitest_browser_runner__ = { wrapDynamicImport: (load) => load() };
      const { createClient } = await import("/src/index.ts");
      const client = await createClient({ user: ${JSON.stringify(alice)}, post: () => undefined });
      const texts = [];
      for (let i = 0; i < ${String(count)}; i++) texts.push((await client.encrypt("bob", "there " + i)).text);
      await client.close();
      return { device: client.device, texts };
    `);
    let thereDone = false;
    void there.finally(() => (thereDone = true));
    const texts: string[] = [];
    while (texts.length < count || !thereDone) texts.push((await here.encrypt("bob", `here ${String(texts.length)}`)).text);
    const theirs = await there;
    expect(theirs.device).toBe(here.device);
    expect(theirs.texts).toHaveLength(count);
    const all = [...texts, ...theirs.texts];
    const keys = messageKeysOf(all.map(bytesOf));
    expect(new Set(keys).size).toBe(all.length);
    const opened = new Set<string | undefined>();
    for (const body of all) {
      const result = await bob.decrypt({ from: alice, body });
      if (result.kind === "message") opened.add(result.text);
    }
    expect(opened.size).toBe(all.length);
  });
});
