// Prekeys: published, refilled, rotated, expired, used once.
import type { Client, Directory } from "miyu";
import { memoryMedium, memoryStore } from "miyu/store/memory";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { testSeed } from "../support/random.ts";
import { DAY, listen, pause, slotsOf, until, world, type Person, type World } from "./world.ts";

let here: World;
beforeEach(() => {
  here = world(testSeed("prekeys"));
});
afterEach(() => here.close());

const cable = (person: Person): void => {
  person.adapter.offline();
  person.adapter.online();
};
const directoryOf = (user: string): Directory => {
  const { directory } = here.network.adapter(user);
  if (directory === undefined) throw new Error("no directory");
  return directory;
};
const stockOf = (person: Person): Promise<number> => directoryOf(person.client.user).stock?.(person.client.device, []) ?? Promise.resolve(-1);
const claim = async (person: Person, count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await directoryOf("mallory").claim?.(person.client.user, person.client.device);
};
/** Signed prekey id of the published bundle (docs/protocol.md §6). */
const publishedId = async (user: string): Promise<number> => {
  const found = await directoryOf("observer").read(user);
  if (found === undefined) return 0;
  const view = new DataView(found.record.buffer, found.record.byteOffset);
  const bundle = 1 + 2 + view.getUint16(1) + 2 + 2;
  return view.getUint32(bundle + 1 + 16 + 4);
};
const writer = (user: string, directory = directoryOf(user)): Promise<Client> => here.open({ user, directory, store: memoryStore() });

describe("prekeys", () => {
  test("100 are stocked, refilled below 25, four times a day, then an event; without any, first messages still go, and both are told", async () => {
    const bob = await here.join("bob");
    const atBob = listen(bob.client);
    await until("stocked", async () => (await stockOf(bob)) === 100);
    await claim(bob, 75);
    cable(bob);
    await pause(20);
    expect(await stockOf(bob)).toBe(25);
    for (let refill = 2; refill <= 4; refill++) {
      await claim(bob, (await stockOf(bob)) - 24);
      cable(bob);
      await until("refilled", async () => (await stockOf(bob)) === 100);
    }
    await claim(bob, 100);
    cable(bob);
    await until("told", () => atBob.kinds("prekeys").length > 0);
    expect(atBob.kinds("prekeys")[0]).toMatchObject({ reason: "refill-limit", user: "bob" });
    expect(await stockOf(bob)).toBe(0);
    const alice = await writer("alice");
    const atAlice = listen(alice);
    const sealed = await alice.encrypt("bob", "hello");
    expect(slotsOf(sealed.body)).toMatchObject([{ kind: "preKey", oneTimePreKeyId: undefined }]);
    expect(await bob.client.decrypt({ from: "alice", body: sealed.body })).toMatchObject({ text: "hello" });
    await until("both were told", () => atAlice.kinds("prekeys").length > 0 && atBob.kinds("prekeys").some((event) => event.kind === "prekeys" && event.reason === "no-one-time-key"));
    here.clock.ahead += DAY;
    cable(bob);
    await until("the next day", async () => (await stockOf(bob)) === 100);
  });

  test("the signed prekey rotates after 7 days and opens for 30 more; the last five stay whatever the clock says", async () => {
    const bob = await here.join("bob");
    await until("published", async () => (await publishedId("bob")) === 1);
    const firsts = [];
    for (let id = 1; id <= 9; id++) {
      const sealed = await (await writer(`writer ${String(id)}`)).encrypt("bob", `under ${String(id)}`);
      firsts.push({ id, from: `writer ${String(id)}`, body: sealed.body });
      if (id === 9) break;
      here.clock.ahead += 6 * DAY;
      cable(bob);
      await pause(20);
      expect(await publishedId("bob")).toBe(id);
      here.clock.ahead += 2 * DAY;
      cable(bob);
      await until("rotated", async () => (await publishedId("bob")) === id + 1);
    }
    cable(bob);
    await pause(30);
    const opened = [];
    for (const { from, body } of firsts) opened.push(await bob.client.decrypt({ from, body }));
    // Day 64: the keys of days 0 to 24 are older than 37 days and not among the last five.
    expect(opened.map((one) => (one.kind === "message" ? one.text : one.kind === "undecryptable" ? one.cause : one.kind))).toEqual([
      ...Array.from({ length: 4 }, () => "prekey-gone"),
      ...[5, 6, 7, 8, 9].map((id) => `under ${String(id)}`),
    ]);
  });

  test("a clock that jumps ten years removes nothing, and everything goes on, also when it jumps back", async () => {
    const medium = memoryMedium();
    const bob = await here.join("bob", { medium });
    const alice = await here.join("alice");
    const [atAlice, atBob] = [listen(alice.client), listen(bob.client)];
    await (await alice.client.send("bob", "now")).accepted();
    await until("heard", () => atBob.messages.length === 1);
    const early = await (await writer("carol")).encrypt("bob", "from long ago");
    let heard = 1;
    for (const years of [10, -20, 10]) {
      here.clock.ahead += years * 365 * DAY;
      cable(bob);
      cable(alice);
      await pause(20);
      await bob.client.send("alice", `jumped ${String(years)}`);
      await alice.client.send("bob", `jumped ${String(years)}`);
      await until("both heard", () => atBob.messages.length === heard + 1 && atAlice.messages.length === heard);
      heard++;
      expect((await bob.client.history({ conversation: "alice", limit: 1000 })).length).toBe(2 * heard - 1);
    }
    expect(await bob.client.decrypt({ from: "carol", body: early.body })).toMatchObject({ text: "from long ago" });
    expect([...atAlice.undecryptable, ...atBob.undecryptable]).toEqual([]);
  });

  test("a one-time prekey serves once, even if the directory hands it out twice", async () => {
    const bob = await here.join("bob");
    await until("stocked", async () => (await stockOf(bob)) === 100);
    const key = await directoryOf("mallory").claim?.("bob", bob.client.device);
    const lying = (user: string): Directory => ({ ...directoryOf(user), claim: () => Promise.resolve(key) });
    const [one, two] = [await (await writer("alice", lying("alice"))).encrypt("bob", "one"), await (await writer("carol", lying("carol"))).encrypt("bob", "two")];
    expect(slotsOf(one.body)[0]?.oneTimePreKeyId).toBe(slotsOf(two.body)[0]?.oneTimePreKeyId);
    expect(await bob.client.decrypt({ from: "alice", body: one.body })).toMatchObject({ text: "one" });
    expect(await bob.client.decrypt({ from: "carol", body: two.body })).toMatchObject({ kind: "undecryptable", cause: "prekey-gone" });
    expect(await bob.client.decrypt({ from: "alice", body: one.body })).toMatchObject({ text: "one" });
  });

  test("publishing under contention: others' writes are read and merged, not overwritten blindly", async () => {
    const real = directoryOf("bob");
    const conflicts = { left: 3 };
    const contended: Directory = { ...real, publish: async (record, expect_, options) => (conflicts.left-- > 0 ? undefined : real.publish(record, expect_, options)) };
    const bob = await here.open({ user: "bob", directory: contended, store: memoryStore() });
    expect(conflicts.left).toBeLessThan(0);
    const sealed = await (await writer("alice")).encrypt("bob", "found");
    expect(await bob.decrypt({ from: "alice", body: sealed.body })).toMatchObject({ text: "found" });
  });

  test("nothing is sent before the own keys can be found", async () => {
    const alice = await writer("alice");
    const real = directoryOf("bob");
    const state = { down: true };
    const down = (): never => {
      throw Object.assign(new Error("down"), { name: "MiyuError", code: "ERR_TRANSPORT_UNAVAILABLE", detail: {} });
    };
    const bob = await here.open({ user: "bob", directory: { ...real, publish: async (...rest) => (state.down ? down() : real.publish(...rest)) }, store: memoryStore() });
    await expect(bob.encrypt("alice", "too early")).rejects.toMatchObject({ code: "ERR_TRANSPORT_UNAVAILABLE" });
    state.down = false;
    const sealed = await bob.encrypt("alice", "now");
    expect(await alice.decrypt({ from: "bob", body: sealed.body })).toMatchObject({ text: "now" });
  });
});
