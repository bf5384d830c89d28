// Sending: what waits, what goes, what is refused, and what a stop in the middle leaves behind.
import { MiyuError, type Client } from "miyu";
import { memoryMedium, memoryStore } from "miyu/store/memory";
import { callbackAdapter } from "miyu/transport/callback";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { testSeed } from "../support/random.ts";
import { codeOf, listen, pause, until, world, type World } from "./world.ts";

let here: World;
const unhandled: unknown[] = [];
const note = (reason: unknown): void => void unhandled.push(reason);
beforeEach(() => {
  here = world(testSeed("outbox"));
  unhandled.length = 0;
  process.on("unhandledRejection", note);
});
afterEach(async () => {
  await here.close();
  await pause(5);
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});

const deliveries = async (client: Client, conversation: string) => (await client.history({ conversation })).map((message) => message.delivery);

describe("outbox", () => {
  test("offline it waits, online it goes, in order; accepted() says when", async () => {
    const [alice, bob] = [await here.join("alice"), await here.join("bob")];
    const atBob = listen(bob.client);
    await (await alice.client.send("bob", "first")).accepted();
    alice.adapter.offline();
    const sendings = [];
    for (let i = 0; i < 20; i++) sendings.push(await alice.client.send("bob", `later ${String(i)}`));
    await pause(20);
    expect(atBob.messages).toHaveLength(1);
    expect((await deliveries(alice.client, "bob")).slice(1).every((one) => one === "waiting" || one === "ready")).toBe(true);
    const accepted = Promise.all(sendings.map((sending) => sending.accepted()));
    alice.adapter.online();
    await accepted;
    await until("all heard", () => atBob.messages.length === 21);
    expect(atBob.texts().slice(1)).toEqual(sendings.map((_, i) => `later ${String(i)}`));
    expect(new Set(await deliveries(alice.client, "bob"))).toEqual(new Set(["accepted"]));
    // Asked after the fact, it still says so.
    await sendings[0]?.accepted();
  });

  test("one who has no keys yet keeps nobody else waiting, and gets it when the keys are there", async () => {
    const alice = await here.join("alice");
    const forCarol = await alice.client.send("carol", "hello carol");
    const bob = await here.join("bob");
    const atBob = listen(bob.client);
    await (await alice.client.send("bob", "hello bob")).accepted();
    await until("bob heard", () => atBob.messages.length === 1);
    expect(await deliveries(alice.client, "carol")).toEqual(["waiting"]);
    const carol = await here.join("carol");
    const atCarol = listen(carol.client);
    await until("carol heard", async () => {
      alice.adapter.offline();
      alice.adapter.online();
      await pause(20);
      return atCarol.messages.length === 1;
    });
    await forCarol.accepted();
  });

  test("refused and too large: failed, told once, accepted() rejects, the lane goes on", async () => {
    const refuse = { now: true };
    const adapter = callbackAdapter({
      self: "alice",
      directory: here.network.adapter("alice").directory!,
      caps: { maxPayload: 2_000 },
      send: (_to, _text, frame) => {
        if (refuse.now && frame.class === "chat") return Promise.reject(new MiyuError("ERR_TRANSPORT_REJECTED", { reason: "no" }));
        return Promise.resolve({ at: 5 });
      },
    });
    const alice = await here.open({ user: "alice", adapter, store: memoryStore() });
    const bob = await here.join("bob");
    const ears = listen(alice);
    await until("bob can be found", () => alice.safetyNumber("bob").then(() => true, () => false));
    expect(bob.client.user).toBe("bob");
    const refused = await alice.send("bob", "refuse me");
    expect(await codeOf(refused.accepted())).toBe("ERR_TRANSPORT_REJECTED");
    expect(await codeOf(alice.send("bob", "x".repeat(2_001)))).toBe("ERR_TOO_LARGE");
    const large = await alice.send("bob", "x".repeat(1_900));
    // Nobody waits for it, and nothing comes of that.
    void large.accepted();
    await until("both were told", () => ears.kinds("blocked").length === 2);
    expect(ears.kinds("blocked")).toMatchObject([{ id: refused.id, error: { code: "ERR_TRANSPORT_REJECTED" } }, { id: large.id, error: { code: "ERR_TOO_LARGE" } }]);
    refuse.now = false;
    await (await alice.send("bob", "now")).accepted();
    expect(await deliveries(alice, "bob")).toEqual(["failed", "failed", "accepted"]);
    expect(ears.kinds("accepted")).toMatchObject([{ at: 5 }]);
    expect(await codeOf(refused.accepted())).toBe("ERR_TRANSPORT_REJECTED");
    // The same id is the same message: it is not sent again.
    expect((await alice.send("bob", "refuse me", { id: refused.id })).id).toBe(refused.id);
    expect(await codeOf(alice.send("bob", "another", { id: refused.id }))).toBe("ERR_USAGE");
    expect(await codeOf(alice.encrypt("bob", "refuse me", { id: refused.id }))).toBe("ERR_USAGE");
    const sealed = await alice.encrypt("bob", "by hand");
    expect(await codeOf(alice.send("bob", "by hand", { id: sealed.id }))).toBe("ERR_USAGE");
  });

  test("two clients of one device share the outbox: each message leaves as one envelope, and both hear of it", async () => {
    const medium = memoryMedium();
    const bob = await here.join("bob");
    const atBob = listen(bob.client);
    const bodies = new Map<string, string>();
    const send = async (_to: string, text: string): Promise<void> => {
      await pause(here.random.int(4));
      const body = Buffer.from(text.slice(6), "base64url");
      const id = body.subarray(2, 18).toString("base64url");
      expect(bodies.get(id) ?? text).toBe(text);
      if (bodies.has(id)) return;
      bodies.set(id, text);
      await bobs.transport.send({ dest: { kind: "user", user: "bob" }, body, class: "chat", key: id });
    };
    const bobs = here.network.adapter("alice", { directory: false });
    const tabs = await Promise.all([0, 1].map(() => here.open({ user: "alice", adapter: callbackAdapter({ self: "alice", directory: here.network.adapter("alice").directory!, send }), store: memoryStore({ medium }) })));
    const sendings = await Promise.all(Array.from({ length: 60 }, (_, i) => tabs[i % 2]!.send("bob", `m${String(i)}`)));
    await Promise.all(sendings.map((sending) => sending.accepted()));
    await until("all heard", () => atBob.messages.length === 60);
    expect(bodies.size).toBe(60);
    expect(atBob.undecryptable).toEqual([]);
  });

  test("close in the middle: everything running ends, nothing is lost, and after it every call is ERR_CLOSED", async () => {
    const medium = memoryMedium();
    const [alice, bob] = [await here.join("alice", { medium }), await here.join("bob")];
    const atBob = listen(bob.client);
    const { client } = alice;
    const number = await client.safetyNumber("bob").catch(() => undefined);
    const sendings = await Promise.all(Array.from({ length: 30 }, (_, i) => client.send("bob", `m${String(i)}`)));
    const outcomes = sendings.map((sending) => sending.accepted().then(() => "accepted", (error: unknown) => (MiyuError.is(error) ? error.code : "other")));
    const events = client.events();
    const encrypting = Array.from({ length: 10 }, (_, i) => client.encrypt("bob", `e${String(i)}`).then(() => "done", (error: unknown) => (MiyuError.is(error) ? error.code : "other")));
    const closing = client.close();
    expect(client.close()).toBe(closing);
    await closing;
    for (const outcome of await Promise.all(outcomes)) expect(["accepted", "ERR_CLOSED"]).toContain(outcome);
    for (const outcome of await Promise.all(encrypting)) expect(["done", "ERR_CLOSED"]).toContain(outcome);
    for (let next = await events.next(); next.done !== true; ) next = await events.next();
    const calls: (() => Promise<unknown>)[] = [
      () => client.encrypt("bob", "x"),
      () => client.decrypt({ from: "bob", body: "miyu1.AAAA" }),
      () => client.send("bob", "x"),
      () => client.history({ conversation: "bob" }),
      () => client.conversations(),
      () => client.safetyNumber("bob"),
      () => client.trust("bob", number?.digits ?? "0"),
      () => client.exportAccount("x"),
      () => client.describe(),
      () => sendings[0]!.accepted(),
      () => Promise.resolve().then(() => client.events()),
    ];
    for (const call of calls) expect(await codeOf(call()), String(call)).toBe("ERR_CLOSED");
    await here.join("alice", { medium });
    await until("all heard", () => atBob.messages.length === 30);
    expect(new Set(atBob.texts()).size).toBe(30);
  });

  test("an AbortSignal ends encrypt, decrypt and events where they wait, and leaves the rest alone", async () => {
    const never = new Promise<never>(() => undefined);
    const post = (): Promise<void> => never;
    const alice = await here.open({ user: "alice", post, store: memoryStore() });
    const abort = new AbortController();
    const events = alice.events({ signal: abort.signal });
    const waiting = [alice.encrypt("bob", "x", { signal: abort.signal }), alice.encrypt("bob", "y", { signal: abort.signal })].map(codeOf);
    const other = codeOf(alice.encrypt("bob", "z"));
    await pause(5);
    abort.abort();
    expect(await Promise.all(waiting)).toEqual(["ERR_ABORTED", "ERR_ABORTED"]);
    expect((await events.next()).done).toBe(true);
    expect(await codeOf(alice.encrypt("bob", "x", { signal: abort.signal }))).toBe("ERR_ABORTED");
    expect(await codeOf(alice.decrypt({ from: "bob", body: "miyu1.AAAA" }, { signal: abort.signal }))).toBe("ERR_ABORTED");
    // A directory that never answers keeps nobody from closing.
    await alice.close();
    expect(await other).toBe("ERR_CLOSED");
    const directory = { caps: { maxRecord: 65_536, oneTime: false }, read: () => never, publish: () => never };
    const stuck = await here.open({ user: "carol", adapter: callbackAdapter({ self: "carol", directory, send: () => never }), store: memoryStore() });
    const sending = await stuck.send("bob", "x");
    const decrypting = codeOf(stuck.safetyNumber("bob"));
    await stuck.close();
    expect(await codeOf(sending.accepted())).toBe("ERR_CLOSED");
    expect(await decrypting).toBe("ERR_CLOSED");
  });
});
