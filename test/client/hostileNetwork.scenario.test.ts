// A network that drops, repeats, reorders, delays, cuts, corrupts and echoes: what was accepted and arrived whole is heard exactly once.
import { memoryStore } from "miyu/store/memory";
import { afterEach, describe, expect, test } from "vitest";
import { testSeed } from "../support/random.ts";
import { listen, messageKeysOf, until, world, type World } from "./world.ts";

let here: World | undefined;
afterEach(() => here?.close());

describe("hostile network", () => {
  test("hundreds of messages repeated, reordered, delayed, echoed and replayed: each heard once, the same bytes on every resend, no message key twice", async () => {
    here = world(testSeed("hostile network"), { duplicate: 0.2, reorder: 0.3, delay: 0.2, echo: 0.1, history: 0.1 });
    const { network, random } = here;
    const sentBodies = new Map<string, Uint8Array>();
    network.tap((tap) => {
      if (tap.class === "chat" && !tap.faults.includes("corrupt") && !tap.faults.includes("truncate")) {
        const id = Buffer.from(tap.body.subarray(2, 18)).toString("base64url");
        const before = sentBodies.get(id);
        // Whatever is sent again is the same bytes.
        if (before !== undefined) expect(Buffer.from(tap.body).equals(before)).toBe(true);
        sentBodies.set(id, tap.body);
      }
    });
    const [alice, bob] = [await here.join("alice"), await here.join("bob")];
    const [atAlice, atBob] = [listen(alice.client), listen(bob.client)];
    const sent = new Map<string, string>();
    const send = async (from: typeof alice, to: string, text: string): Promise<void> => {
      sent.set((await from.client.send(to, text)).id, text);
    };
    for (let i = 0; i < 200; i++) {
      const turn = random.int(3);
      if (turn !== 0) await send(alice, "bob", `a${String(i)} ${"x".repeat(random.int(400))}`);
      if (turn !== 1) await send(bob, "alice", `b${String(i)}`);
    }
    await until("everything was accepted", () => atAlice.kinds("accepted").length + atBob.kinds("accepted").length === sent.size);
    network.release();
    await until("everything was heard", () => atAlice.messages.length + atBob.messages.length >= sent.size);
    await network.settled();
    const heard = [...atAlice.messages, ...atBob.messages];
    expect(new Map(heard.map((message) => [message.id, message.text]))).toEqual(sent);
    expect(heard).toHaveLength(sent.size);
    expect([...atAlice.undecryptable, ...atBob.undecryptable]).toEqual([]);
    const keys = messageKeysOf([...sentBodies.values()]);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test("with corruption, truncation and lost answers: what arrived whole is heard once, the rest is reported, and it goes on", async () => {
    here = world(testSeed("corrupting network"), { drop: 0.1, duplicate: 0.3, reorder: 0.2, corrupt: 0.1, truncate: 0.1, lose: 0.03, history: 0.05 });
    const { network } = here;
    const whole = new Map<string, Set<string>>();
    const damaged = { count: 0 };
    network.tap((tap) => {
      if (tap.class !== "chat" || tap.faults.includes("lose")) return;
      if (tap.faults.includes("corrupt") || tap.faults.includes("truncate")) damaged.count++;
      else whole.set(tap.to, (whole.get(tap.to) ?? new Set()).add(Buffer.from(tap.body.subarray(2, 18)).toString("base64url")));
    });
    const [alice, bob] = [await here.join("alice"), await here.join("bob")];
    const [atAlice, atBob] = [listen(alice.client), listen(bob.client)];
    for (let i = 0; i < 40; i++) await Promise.all([alice.client.send("bob", `a${String(i)}`), bob.client.send("alice", `b${String(i)}`)]);
    // A lane pauses for a second after a dropped frame: woken, it goes on at once.
    await until("everything was accepted", () => {
      for (const { adapter } of [alice, bob]) {
        adapter.offline();
        adapter.online();
      }
      return atAlice.kinds("accepted").length === 40 && atBob.kinds("accepted").length === 40;
    });
    network.release();
    await network.settled();
    await until("everything whole was heard", () => atBob.messages.length >= (whole.get("bob")?.size ?? 0) && atAlice.messages.length >= (whole.get("alice")?.size ?? 0));
    expect(damaged.count).toBeGreaterThan(0);
    expect(atAlice.undecryptable.length + atBob.undecryptable.length).toBeGreaterThan(0);
    for (const [ears, user] of [[atAlice, "alice"], [atBob, "bob"]] as const) {
      const ids = ears.messages.map((message) => message.id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(new Set(ids)).toEqual(whole.get(user));
    }
    network.setFaults({ drop: 0, duplicate: 0, reorder: 0, corrupt: 0, truncate: 0, lose: 0, history: 0 });
    await alice.client.send("bob", "still here");
    await until("the last one was heard", () => atBob.texts().includes("still here"));
    await bob.client.send("alice", "so am I");
    await until("and the answer", () => atAlice.texts().includes("so am I"));
  });

  test("a jump of 3,000 messages is walked outside the transaction, and the skipped ones within reach still open", async () => {
    here = world(testSeed("long gap"));
    const directory = (user: string) => here?.network.adapter(user).directory;
    const alice = await here.open({ user: "alice", directory: directory("alice")!, store: memoryStore() });
    const bob = await here.open({ user: "bob", directory: directory("bob")!, store: memoryStore() });
    const opened = async (sealed: { body: Uint8Array }) => bob.decrypt({ from: "alice", body: sealed.body });
    expect(await opened(await alice.encrypt("bob", "first"))).toMatchObject({ text: "first" });
    const dropped = [];
    for (let i = 0; i < 3_000; i += 50) dropped.push(...(await Promise.all(Array.from({ length: 50 }, (_, j) => alice.encrypt("bob", `m${String(i + j)}`)))));
    const last = await alice.encrypt("bob", "last");
    // Damaged, it costs the same walk and leaves nothing behind.
    const damaged = last.body.slice();
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    expect(await opened({ body: damaged })).toMatchObject({ cause: "corrupt" });
    const [one, two] = await Promise.all([opened(last), opened(dropped[2_990] ?? last)]);
    expect([one, two]).toMatchObject([{ text: "last" }, { text: "m2990" }]);
    expect(await opened(dropped[1_500] ?? last)).toMatchObject({ text: "m1500" });
    // Farther back than 2,000 its key is gone, and that is said.
    expect(await opened(dropped[10] ?? last)).toMatchObject({ kind: "undecryptable", cause: "too-old", remedy: "none" });
    expect(await opened(await alice.encrypt("bob", "and on"))).toMatchObject({ text: "and on" });
  });
});
