// What is kept: history and its pages, conversations, pruning, no archive at all, and what a message costs the store.
import type { RawStore } from "miyu";
import { memoryMedium, memoryStore } from "miyu/store/memory";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { testSeed } from "../support/random.ts";
import { codeOf, DAY, listen, pause, until, world, type Person, type World } from "./world.ts";

let here: World;
beforeEach(() => {
  here = world(testSeed("archive"));
});
afterEach(() => here.close());

const cable = (person: Person): void => {
  person.adapter.offline();
  person.adapter.online();
};

describe("archive", () => {
  test("history in pages, before a message, with a limit; conversations newest first", async () => {
    const [alice, bob] = [await here.join("alice"), await here.join("bob")];
    const atBob = listen(bob.client);
    await alice.client.send("bob", "m0");
    await until("there is a session", () => atBob.messages.length === 1);
    for (let i = 1; i < 150; i++) await alice.client.send("bob", `m${String(i)}`);
    await until("all heard", () => atBob.messages.length === 150);
    const all = Array.from({ length: 150 }, (_, i) => `m${String(i)}`);
    const textsOf = async (person: Person, query: { conversation: string; before?: string; limit?: number }) => (await person.client.history(query)).map((message) => message.text);
    for (const [person, conversation] of [[alice, "bob"], [bob, "alice"]] as const) {
      expect(await textsOf(person, { conversation, limit: 1000 })).toEqual(all);
      expect(await textsOf(person, { conversation })).toEqual(all.slice(100));
      // Backwards, seven at a time, across the pages of 64.
      const read: (string | undefined)[] = [];
      for (let before: string | undefined; ; ) {
        const page = await person.client.history({ conversation, limit: 7, ...(before !== undefined && { before }) });
        if (page.length === 0) break;
        read.unshift(...page.map((message) => message.text));
        before = page[0]?.id;
      }
      expect(read).toEqual(all);
      expect(await textsOf(person, { conversation, before: "AAAAAAAAAAAAAAAAAAAAAA" })).toEqual([]);
      expect(await textsOf(person, { conversation: "nobody" })).toEqual([]);
    }
    for (const limit of [0, 1001, 1.5]) expect(await codeOf(alice.client.history({ conversation: "bob", limit }))).toBe("ERR_USAGE");
    here.clock.ahead += 60_000;
    await here.join("carol");
    await alice.client.send("carol", "hi");
    await until("two conversations", async () => (await alice.client.conversations()).length === 2);
    expect(await alice.client.conversations()).toMatchObject([{ id: "carol", messages: 1 }, { id: "bob", messages: 150 }]);
  });

  test("pruning drops old plaintext page by page, not on the word of a clock that jumped, and still answers a repeat", async () => {
    const bob = await here.join("bob", { policy: { archiveDays: 10, archiveMessages: 70 } });
    const alice = await here.open({ user: "alice", directory: here.network.adapter("alice").directory!, store: memoryStore() });
    const bodies = [];
    for (let i = 0; i < 200; i++) bodies.push((await alice.encrypt("bob", `m${String(i)}`)).body);
    for (const body of bodies) await bob.client.decrypt({ from: "alice", body });
    const kept = async () => (await bob.client.history({ conversation: "alice", limit: 1000 })).length;
    here.clock.ahead += 5 * DAY;
    cable(bob);
    await pause(30);
    expect(await kept()).toBe(200);
    here.clock.ahead += 40 * DAY;
    cable(bob);
    await pause(30);
    expect(await kept()).toBe(200);
    here.clock.ahead += DAY;
    cable(bob);
    await until("pruned on the second day", async () => (await kept()) === 72);
    expect(await bob.client.conversations()).toMatchObject([{ messages: 72 }]);
    expect(await bob.client.decrypt({ from: "alice", body: bodies[3]! })).toMatchObject({ kind: "duplicate" });
    expect(await bob.client.decrypt({ from: "alice", body: bodies[199]! })).toMatchObject({ text: "m199" });
    const other = bodies[3]!.slice();
    other[other.length - 1] = (other.at(-1) ?? 0) ^ 1;
    expect(await bob.client.decrypt({ from: "alice", body: other })).toMatchObject({ kind: "undecryptable", cause: "corrupt" });
  });

  test("archive: false keeps no plaintext once it was taken, redelivers what was not, and still knows a repeat", async () => {
    const medium = memoryMedium();
    const [alice, bob] = [await here.join("alice", { archive: false }), await here.join("bob", { medium, archive: false })];
    const bodies: Uint8Array[] = [];
    here.network.tap((tap) => {
      if (tap.class === "chat") bodies.push(tap.body);
    });
    await (await alice.client.send("bob", "not kept")).accepted();
    await pause(20);
    await bob.client.close();
    const again = await here.join("bob", { medium, archive: false });
    const atBob = listen(again.client);
    await until("delivered again", () => atBob.messages.length === 1);
    expect(atBob.texts()).toEqual(["not kept"]);
    await until("gone", async () => (await again.client.history({ conversation: "alice" })).length === 0);
    expect(await alice.client.history({ conversation: "bob" })).toEqual([]);
    expect(await again.client.decrypt({ from: "alice", body: bodies[0]! })).toMatchObject({ kind: "duplicate", from: "alice" });
    const sealed = await alice.client.encrypt("bob", "by hand");
    expect(await again.client.decrypt({ from: "alice", body: sealed.body })).toMatchObject({ text: "by hand" });
    expect(await again.client.decrypt({ from: "alice", body: sealed.body })).toMatchObject({ kind: "duplicate" });
    await again.client.close();
    const last = await here.join("bob", { medium, archive: false });
    const atLast = listen(last.client);
    await pause(20);
    expect(atLast.messages).toEqual([]);
  });
});

/** Counts what reaches the medium. */
function counting(inner: RawStore): { store: RawStore; take(): { transactions: number; writing: number; bytes: number } } {
  let counts = { transactions: 0, writing: 0, bytes: 0 };
  return {
    store: {
      ...inner,
      async transact(keys, fn) {
        let bytes = 0;
        const result = await inner.transact(keys, (view) => {
          // Only the last run of a function that starts over is written.
          bytes = 0;
          return fn({
            get: (key) => view.get(key),
            put(key, value) {
              bytes += value.length;
              view.put(key, value);
            },
            remove: (key) => { view.remove(key); },
            need: (...needed) => { view.need(...needed); },
            afterCommit: (hook) => { view.afterCommit(hook); },
          });
        });
        counts.transactions++;
        counts.bytes += bytes;
        if (bytes > 0) counts.writing++;
        return result;
      },
      keySlot: inner.keySlot,
    },
    take() {
      const taken = counts;
      counts = { transactions: 0, writing: 0, bytes: 0 };
      return taken;
    },
  };
}

describe("cost of a steady message", () => {
  test("at most 8 KB are written for it on either side, in few transactions", async () => {
    const [atA, atB] = [counting(memoryStore()), counting(memoryStore())];
    const directory = (user: string) => here.network.adapter(user).directory!;
    const alice = await here.open({ user: "alice", directory: directory("alice"), store: atA.store });
    const bob = await here.open({ user: "bob", directory: directory("bob"), store: atB.store });
    const turn = async (text: string): Promise<void> => {
      await bob.decrypt({ from: "alice", body: (await alice.encrypt("bob", text)).body });
    };
    await turn("hello");
    await alice.decrypt({ from: "bob", body: (await bob.encrypt("alice", "hello")).body });
    // Just before a page of the history is full.
    for (let i = 0; i < 60; i++) await turn(`m${String(i)}`);
    atA.take();
    atB.take();
    let worst = { seal: 0, open: 0 };
    const texts = 10;
    const totals = { seal: 0, open: 0, sealWrites: 0, openWrites: 0 };
    for (let i = 0; i < texts; i++) {
      const { body } = await alice.encrypt("bob", "x".repeat(256));
      const seal = atA.take();
      await bob.decrypt({ from: "alice", body });
      const open = atB.take();
      worst = { seal: Math.max(worst.seal, seal.bytes), open: Math.max(worst.open, open.bytes) };
      totals.seal += seal.transactions;
      totals.open += open.transactions;
      totals.sealWrites += seal.writing;
      totals.openWrites += open.writing;
    }
    console.info(`a steady message of 256 B writes at most ${String(worst.seal)} B sealing, ${String(worst.open)} B opening; transactions ${String(totals.seal / texts)} and ${String(totals.open / texts)}`);
    expect(worst.seal).toBeLessThanOrEqual(8192);
    expect(worst.open).toBeLessThanOrEqual(8192);
    // One writing transaction each; sealing looks at the message id and at the age of the list before.
    expect(totals).toEqual({ seal: 3 * texts, open: texts, sealWrites: texts, openWrites: texts });
  });
});
