// The app keeps its own IM code: encrypt and decrypt, with a directory or by asking inside the conversation.
import type { Client, Message, Opened } from "miyu";
import { memoryMedium, memoryStore } from "miyu/store/memory";
import { callbackAdapter, type CallbackAdapter } from "miyu/transport/callback";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { testSeed } from "../support/random.ts";
import { codeOf, listen, messageKeysOf, pause, slotsOf, until, world, type World } from "./world.ts";

let here: World;
beforeEach(() => {
  here = world(testSeed("by hand"));
});
afterEach(() => here.close());

const message = (opened: Opened): Message => {
  if (opened.kind !== "message") throw new Error(`not a message: ${JSON.stringify(opened)}`);
  return opened;
};

async function pair(medium = memoryMedium()): Promise<[alice: Client, bob: Client]> {
  const directoryOf = (user: string) => {
    const { directory } = here.network.adapter(user);
    if (directory === undefined) throw new Error("no directory");
    return directory;
  };
  const alice = await here.open({ user: "alice", directory: directoryOf("alice"), store: memoryStore({ medium }) });
  const bob = await here.open({ user: "bob", directory: directoryOf("bob"), store: memoryStore() });
  return [alice, bob];
}

describe("with a directory", () => {
  test("text and bytes, as bytes and as text, in both directions", async () => {
    const [alice, bob] = await pair();
    const sealed = await alice.encrypt("bob", "你好");
    expect(sealed.text).toMatch(/^miyu1\.[\w-]+$/);
    expect(Buffer.from(sealed.text.slice(6), "base64url").equals(sealed.body)).toBe(true);
    const heard = message(await bob.decrypt({ from: "alice", body: sealed.text }));
    expect(heard).toMatchObject({ text: "你好", id: sealed.id, own: false, conversation: "alice", trust: "first-use", mediaType: "text/plain;charset=utf-8" });
    const picture = await bob.encrypt("alice", { mediaType: "image/png", body: Uint8Array.of(1, 2, 3) });
    const seen = message(await alice.decrypt({ from: "bob", body: picture.body }));
    expect(seen).toMatchObject({ mediaType: "image/png", text: undefined });
    expect([...seen.body]).toEqual([1, 2, 3]);
    const empty = message(await bob.decrypt({ from: "alice", body: (await alice.encrypt("bob", "")).body }));
    expect(empty.text).toBe("");
    // As an IM that only carries UTF-8 bytes would hand it over, and in the standard alphabet.
    const again = await alice.encrypt("bob", "again");
    const standard = `miyu1.${Buffer.from(again.body).toString("base64")}`;
    expect(message(await bob.decrypt({ from: "alice", body: new TextEncoder().encode(standard) })).text).toBe("again");
  });

  test("decrypt is idempotent; another body under the same id does not open; failures are not remembered", async () => {
    const [alice, bob] = await pair();
    const sealed = await alice.encrypt("bob", "once");
    const first = message(await bob.decrypt({ from: "alice", body: sealed.body }));
    expect(await bob.decrypt({ from: "alice", body: sealed.body })).toEqual(first);
    for (const at of [sealed.body.length - 1, sealed.body.length - 40, 40]) {
      const other = sealed.body.slice();
      other[at] = (other[at] ?? 0) ^ 1;
      expect(await bob.decrypt({ from: "alice", body: other })).toMatchObject({ kind: "undecryptable", cause: "corrupt", remedy: "none" });
    }
    // Damaged before it ever opened: the whole one still does.
    const next = await alice.encrypt("bob", "twice");
    const damaged = next.body.slice();
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    const failures = [await bob.decrypt({ from: "alice", body: damaged }), await bob.decrypt({ from: "alice", body: damaged })];
    expect(failures).toMatchObject([{ cause: "corrupt" }, { cause: "corrupt" }]);
    expect(failures[1]).toMatchObject({ count: (failures[0]?.kind === "undecryptable" ? failures[0].count : 0) + 1 });
    expect(message(await bob.decrypt({ from: "alice", body: next.body })).text).toBe("twice");
    // Under another name it does not open, before or after.
    expect(await bob.decrypt({ from: "carol", body: next.body })).toMatchObject({ kind: "undecryptable" });
  });

  test("encrypt with the same id: the same bytes for the same content, ERR_USAGE for another", async () => {
    const medium = memoryMedium();
    const [alice, bob] = await pair(medium);
    const id = "5f0c7c1e-1d0b-4a3e-9f61-2b8f0c0a1d2e";
    const [one, two] = await Promise.all([alice.encrypt("bob", "hello", { id }), alice.encrypt("bob", "hello", { id })]);
    expect(two).toEqual(one);
    expect(one.id).toBe(Buffer.from(id.replaceAll("-", ""), "hex").toString("base64url"));
    expect(await alice.encrypt("bob", "hello", { id: one.id })).toEqual(one);
    expect(await codeOf(alice.encrypt("bob", "other", { id }))).toBe("ERR_USAGE");
    expect(await codeOf(alice.encrypt("bob", { mediaType: "text/markdown", body: "hello" }, { id }))).toBe("ERR_USAGE");
    expect(await codeOf(alice.encrypt("carol", "hello", { id }))).toBe("ERR_USAGE");
    await alice.close();
    const later = await here.open({ user: "alice", directory: here.network.adapter("alice").directory ?? (() => { throw new Error(); })(), store: memoryStore({ medium }) });
    expect(await later.encrypt("bob", "hello", { id })).toEqual(one);
    expect(message(await bob.decrypt({ from: "alice", body: one.body })).text).toBe("hello");
    // The own message that comes back is answered from the archive.
    expect(message(await later.decrypt({ from: "alice", body: one.body }))).toMatchObject({ text: "hello", own: true, conversation: "bob", delivery: "sealed" });
    expect(await later.decrypt({ from: "bob", body: one.body })).toMatchObject({ kind: "undecryptable" });
  });

  test("misuse is ERR_USAGE and changes nothing", async () => {
    const [alice] = await pair();
    const bad: (() => Promise<unknown>)[] = [
      () => alice.encrypt("", "x"),
      () => alice.encrypt("x".repeat(1025), "x"),
      () => alice.encrypt("\ud800", "x"),
      () => alice.encrypt("bob", { mediaType: "", body: "x" }),
      () => alice.encrypt("bob", { mediaType: "x".repeat(256), body: "x" }),
      () => alice.encrypt("bob", { mediaType: "a/b", body: 5 as unknown as string }),
      () => alice.encrypt("bob", null as unknown as string),
      () => alice.encrypt("bob", "x", { id: "short" }),
      () => alice.decrypt({ from: "", body: "miyu1.AAAA" }),
      () => alice.decrypt({ from: "bob", body: 5 as unknown as string }),
      () => alice.history({ conversation: "bob", limit: 0 }),
      () => alice.safetyNumber("alice"),
      () => alice.send("bob", "no adapter"),
      () => alice.exportAccount(""),
    ];
    for (const call of bad) expect(await codeOf(call()), String(call)).toBe("ERR_USAGE");
    expect(await codeOf(alice.encrypt("nobody", "x"))).toBe("ERR_NO_SESSION");
    expect(await codeOf(alice.encrypt("bob", "x".repeat(1 << 20)))).toBe("ERR_TOO_LARGE");
    expect(await alice.conversations()).toEqual([]);
    for (const body of ["hello", "miyu1.", "miyu2.AAAA", new Uint8Array(0), Uint8Array.of(1, 9, 9)]) {
      expect(await alice.decrypt({ from: "bob", body })).toMatchObject({ kind: "undecryptable", cause: expect.stringMatching(/corrupt|version/) as string });
    }
  });

  test("200 encrypts and decrypts at once, on two clients of one device and both directions: no message key twice, nothing lost", async () => {
    const medium = memoryMedium();
    const [alice, bob] = await pair(medium);
    const tab = await here.open({ user: "alice", directory: here.network.adapter("alice").directory ?? (() => { throw new Error(); })(), store: memoryStore({ medium }) });
    expect(tab.device).toBe(alice.device);
    const count = 100;
    const numbers = Array.from({ length: count }, (_, i) => i);
    // First contact from both tabs and from the other side, all at the same time.
    const [first, second, back] = await Promise.all([
      Promise.all(numbers.map((i) => alice.encrypt("bob", `a${String(i)}`))),
      Promise.all(numbers.map((i) => tab.encrypt("bob", `b${String(i)}`))),
      Promise.all(numbers.map((i) => bob.encrypt("alice", `c${String(i)}`))),
    ]);
    const toBob = [...first, ...second];
    const keys = messageKeysOf(toBob.map((sealed) => sealed.body));
    expect(keys).toHaveLength(2 * count);
    expect(new Set(keys).size).toBe(2 * count);
    expect(new Set(messageKeysOf(back.map((sealed) => sealed.body))).size).toBe(count);
    const toAlice = here.random.shuffle(back);
    const opened = await Promise.all([
      ...here.random.shuffle(toBob).map((sealed) => bob.decrypt({ from: "alice", body: sealed.body })),
      ...toAlice.map((sealed, i) => (i % 2 === 0 ? alice : tab).decrypt({ from: "bob", body: sealed.body })),
    ]);
    expect(new Set(opened.map((one) => message(one).text)).size).toBe(3 * count);
    // Sessions have met: what follows is no first message any more, on either side.
    for (let i = 0; i < 3; i++) {
      const ping = await (i % 2 === 0 ? alice : tab).encrypt("bob", `ping ${String(i)}`);
      expect(message(await bob.decrypt({ from: "alice", body: ping.body })).text).toBe(`ping ${String(i)}`);
      const pong = await bob.encrypt("alice", `pong ${String(i)}`);
      expect(message(await (i % 2 === 0 ? tab : alice).decrypt({ from: "bob", body: pong.body })).text).toBe(`pong ${String(i)}`);
      if (i > 0) expect([...slotsOf(ping.body), ...slotsOf(pong.body)].map((slot) => slot.kind)).toEqual(["signal", "signal"]);
    }
  });
});

describe("without any directory", () => {
  test("post: keys are asked for in the conversation, also where the app handles one message at a time", async () => {
    const clients = new Map<string, Client>();
    const opened: Opened[] = [];
    const lines = new Map<string, Promise<unknown>>();
    /** Hands a text to the other side, strictly one after another. */
    const carry = (from: string, to: string, text: string): void => {
      const before = lines.get(to) ?? Promise.resolve();
      lines.set(to, before.then(async () => {
        const result = await clients.get(to)?.decrypt({ from, body: text });
        if (result !== undefined) opened.push(result);
      }));
    };
    for (const user of ["alice", "bob"]) {
      clients.set(user, await here.open({ user, post: (to, text) => { carry(user, to, text); }, store: memoryStore() }));
    }
    const [alice, bob] = [clients.get("alice"), clients.get("bob")];
    if (alice === undefined || bob === undefined) throw new Error();
    const sealed = await alice.encrypt("bob", "found you");
    carry("alice", "bob", sealed.text);
    await until("it was opened", () => opened.some((one) => one.kind === "message"));
    expect(opened.find((one) => one.kind === "message")).toMatchObject({ text: "found you" });
    carry("bob", "alice", (await bob.encrypt("alice", "welcome")).text);
    await until("the answer was opened", () => opened.filter((one) => one.kind === "message").length === 2);
    expect((await alice.safetyNumber("bob")).digits).toBe((await bob.safetyNumber("alice")).digits);
    expect((await alice.describe()).weaker.map((one) => one.what)).toEqual(expect.arrayContaining(["directory", "one-time-prekeys"]));
  });

  test("callbackAdapter in ten lines", async () => {
    const adapters = new Map<string, CallbackAdapter>();
    const people = [];
    for (const user of ["alice", "bob"]) {
      const adapter = callbackAdapter({
        self: user,
        send: async (to, text) => { await pause(1); adapters.get(to)?.receive({ from: user, text }); },
      });
      adapters.set(user, adapter);
      people.push(await here.open({ user, adapter, store: memoryStore() }));
    }
    const [alice, bob] = people as [Client, Client];
    const [atAlice, atBob] = [listen(alice), listen(bob)];
    await (await alice.send("bob", "hello")).accepted();
    await bob.send("alice", "hello yourself");
    await until("both heard", () => atBob.messages.length === 1 && atAlice.messages.length === 1);
    for (let i = 0; i < 30; i++) await Promise.all([alice.send("bob", `a${String(i)}`), bob.send("alice", `b${String(i)}`)]);
    await until("all heard", () => atBob.messages.length === 31 && atAlice.messages.length === 31);
    expect([...atAlice.undecryptable, ...atBob.undecryptable]).toEqual([]);
    expect(adapters.get("alice")?.receive({ from: "bob", text: "plain" })).toBe(false);
  });

  test("a peer that is away: the message waits, and goes when its keys come", async () => {
    const adapters = new Map<string, CallbackAdapter>();
    const adapterOf = (user: string): CallbackAdapter => {
      const adapter = callbackAdapter({
        self: user,
        send: (to, text) => { adapters.get(to)?.receive({ from: user, text }); return Promise.resolve(); },
      });
      adapters.set(user, adapter);
      return adapter;
    };
    const alice = await here.open({ user: "alice", adapter: adapterOf("alice"), store: memoryStore() });
    const sending = await alice.send("bob", "are you there?");
    await pause(50);
    expect((await alice.history({ conversation: "bob" }))[0]).toMatchObject({ id: sending.id, delivery: "waiting" });
    const bob = await here.open({ user: "bob", adapter: adapterOf("bob"), store: memoryStore() });
    const atBob = listen(bob);
    // Bob's first word asks for alice's keys and brings his own: her waiting message follows when she asks again.
    here.clock.ahead += 120_000;
    await bob.send("alice", "now I am");
    adapters.get("alice")?.setState("offline");
    adapters.get("alice")?.setState("online");
    await until("it arrived", () => atBob.messages.length === 1);
    expect(atBob.texts()).toEqual(["are you there?"]);
  });
});
