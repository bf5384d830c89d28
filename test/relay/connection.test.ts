import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fromUtf8, toBase64url, utf8 } from "../../src/bytes.ts";
import { createRelay, type Relay, type RelayOptions } from "../../src/relay/index.ts";
import { encodeClientFrame, RELAY_CLOSE, type ClientFrame } from "../../src/transport/relayFrames.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { hello, rawSocket } from "./rawSocket.ts";

const random = seededRandom(testSeed("relay connections"));
const device = (): string => toBase64url(random.bytes(16));
let requests = 0;
const sendTo = (user: string, text: string, key = `key ${String(++requests)}`): Extract<ClientFrame, { kind: "send" }> => ({
  kind: "send",
  request: ++requests,
  key,
  dest: { kind: "user", user },
  class: "chat",
  body: utf8(text),
});

describe("relay connections", () => {
  let relay: Relay;
  let directory: string;
  const start = async (options: Partial<RelayOptions> = {}): Promise<Relay> => createRelay({ memory: true, demo: true, ...options });
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "miyu-relay-"));
  });
  afterEach(async () => {
    await relay.close();
    await rm(directory, { recursive: true, force: true });
  });

  test("whoever breaks the rules is cut off with the reason, and nobody else", async () => {
    relay = await start({ limits: { helloMs: 50, body: 5_000 } });
    const healthy = await hello(relay, "alice", device());
    const greeting: ClientFrame = { kind: "hello", token: "demo:bob", device: device(), mailbox: toBase64url(new Uint8Array(16)), cursor: 0 };
    const cases: [string, number, (Uint8Array | string)[]][] = [
      ["text", RELAY_CLOSE.badFrame, ["hello"]],
      ["an empty frame", RELAY_CLOSE.badFrame, [new Uint8Array()]],
      ["a ping before hello", RELAY_CLOSE.badFrame, [encodeClientFrame({ kind: "ping", nonce: 1 })]],
      ["a second hello", RELAY_CLOSE.badFrame, [encodeClientFrame(greeting), encodeClientFrame(greeting)]],
      ["another version", RELAY_CLOSE.version, [Uint8Array.of(1, 2, 0, 0)]],
      ["a wrong token", RELAY_CLOSE.unauthorised, [encodeClientFrame({ ...greeting, token: "wrong" })]],
      ["a token of nobody", RELAY_CLOSE.unauthorised, [encodeClientFrame({ ...greeting, token: "demo:" })]],
      ["a user too long", RELAY_CLOSE.unauthorised, [encodeClientFrame({ ...greeting, token: `demo:${"x".repeat(257)}` })]],
      ["a huge frame", 1009, [new Uint8Array(100_000)]],
      ["silence", RELAY_CLOSE.timeout, []],
    ];
    for (const [what, code, messages] of cases) {
      const raw = await rawSocket(relay);
      for (const message of messages) raw.socket.send(message);
      expect(await raw.closed, what).toBe(code);
    }
    healthy.say({ kind: "ping", nonce: 77 });
    expect((await healthy.next("pong")).nonce).toBe(77);
    healthy.socket.terminate();
  });

  test("seeded garbage on live sockets leaves the relay standing", async () => {
    relay = await start();
    const valid = [sendTo("bob", "x"), { kind: "ack", cursor: 5, sequences: [1, 9, 2 ** 50] } as const, { kind: "ping", nonce: 1 } as const].map(encodeClientFrame);
    for (let run = 0; run < 60; run++) {
      const raw = await hello(relay, "mallory", toBase64url(new Uint8Array(16).fill(7)));
      for (let i = 0; i < 20; i++) {
        const bytes = new Uint8Array(random.pick(valid));
        bytes[random.int(bytes.length)] = random.int(256);
        raw.socket.send(random.chance(0.1) ? random.bytes(random.int(50)) : bytes);
      }
      raw.socket.close();
      await raw.closed;
    }
    const alice = await hello(relay, "alice", device());
    alice.say(sendTo("alice", "still here"));
    expect((await alice.next("accepted")).request).toBe(requests);
    alice.socket.terminate();
  });

  test("a new socket of a device replaces the old one and gets what was not acknowledged", async () => {
    relay = await start();
    const [alice, id] = [await hello(relay, "alice", device()), device()];
    const old = await hello(relay, "bob", id);
    for (const text of ["one", "two", "three"]) alice.say(sendTo("bob", text));
    const sequences = [await old.next("deliver"), await old.next("deliver"), await old.next("deliver")].map(({ sequence }) => sequence);
    old.say({ kind: "ack", cursor: sequences[1] ?? 0, sequences: [sequences[1] ?? 0, 999, 0] });
    old.say({ kind: "ping", nonce: 1 });
    await old.next("pong");
    const fresh = await hello(relay, "bob", id);
    expect(await old.closed).toBe(RELAY_CLOSE.replaced);
    const again = [await fresh.next("deliver"), await fresh.next("deliver")];
    expect(again.map(({ parcel }) => fromUtf8(parcel.body))).toEqual(["one", "three"]);
    const resumed = await hello(relay, "bob", id, { mailbox: fresh.mailbox, cursor: sequences[1] ?? 0 });
    expect(fromUtf8((await resumed.next("deliver")).parcel.body)).toBe("three");
    const confused = await hello(relay, "bob", id, { mailbox: device(), cursor: 1_000 });
    expect(fromUtf8((await confused.next("deliver")).parcel.body)).toBe("one");
    for (const raw of [alice, confused]) raw.socket.terminate();
  });

  test("deliveries stop at the window until the device says that it settled some", async () => {
    relay = await start({ limits: { window: 4 } });
    const [alice, bob] = [await hello(relay, "alice", device()), await hello(relay, "bob", device())];
    for (let i = 0; i < 10; i++) alice.say(sendTo("bob", String(i)));
    for (let i = 0; i < 10; i++) await alice.next("accepted");
    for (let i = 0; i < 4; i++) await bob.next("deliver");
    bob.say({ kind: "ping", nonce: 1 });
    await bob.next("pong");
    expect(bob.frames.filter(({ kind }) => kind === "deliver")).toHaveLength(4);
    bob.say({ kind: "ack", cursor: 3, sequences: [] });
    for (let i = 4; i < 7; i++) expect((await bob.next("deliver")).sequence).toBe(i + 1);
    bob.say({ kind: "ping", nonce: 2 });
    await bob.next("pong");
    expect(bob.frames.filter(({ kind }) => kind === "deliver")).toHaveLength(7);
    for (const raw of [alice, bob]) raw.socket.terminate();
  });

  test("a peer that answers no ping is cut, one that does stays", async () => {
    relay = await start({ limits: { heartbeatMs: 25 } });
    const live = await hello(relay, "alice", device());
    const dead = await rawSocket(relay, { autoPong: false });
    expect(await dead.closed).toBe(1006);
    live.say({ kind: "ping", nonce: 3 });
    expect((await live.next("pong")).nonce).toBe(3);
    live.socket.terminate();
  });

  test("keys are remembered over a restart, per device, and only so many", async () => {
    relay = await createRelay({ dataDir: directory, demo: true, limits: { keys: 3 } });
    const [id, otherId] = [device(), device()];
    const send = async (from: string, key: string): Promise<string> => {
      const raw = await hello(relay, "alice", from);
      raw.say(sendTo("bob", key, key));
      const { id: sent } = await raw.next("accepted");
      raw.socket.terminate();
      return sent;
    };
    const first = await send(id, "a");
    expect(await send(id, "a")).toBe(first);
    expect(await send(otherId, "a")).not.toBe(first);
    await relay.close();
    relay = await createRelay({ dataDir: directory, demo: true, limits: { keys: 3 } });
    expect(await send(id, "a")).toBe(first);
    for (const key of ["b", "c", "d"]) await send(id, key);
    expect(await send(id, "a")).not.toBe(first);
  });

  test("stopping: sockets hear 1001, what was accepted is there after the restart", async () => {
    relay = await createRelay({ dataDir: directory, demo: true });
    const alice = await hello(relay, "alice", device());
    for (let i = 0; i < 200; i++) alice.say(sendTo("bob", `message ${String(i)}`));
    await alice.next("accepted");
    const stopped = relay.close();
    expect(await alice.closed).toBe(RELAY_CLOSE.stopping);
    await stopped;
    await relay.close();
    const accepted = alice.frames.filter(({ kind }) => kind === "accepted").length;
    expect(accepted).toBeGreaterThan(0);
    await expect(fetch(relay.url)).rejects.toThrow();
    relay = await createRelay({ dataDir: directory, demo: true });
    const bob = await hello(relay, "bob", device());
    const got = [];
    for (let i = 0; i < accepted; i++) {
      const { sequence, parcel } = await bob.next("deliver");
      got.push(fromUtf8(parcel.body));
      bob.say({ kind: "ack", cursor: sequence, sequences: [sequence] });
    }
    expect(got).toEqual(Array.from({ length: accepted }, (_, i) => `message ${String(i)}`));
    bob.socket.terminate();
  });

  test("a data directory has one relay at a time", async () => {
    relay = await createRelay({ dataDir: directory, demo: true });
    await expect(createRelay({ dataDir: directory, demo: true })).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
  });

  test("mail waits for so many unknown users only", async () => {
    relay = await start({ limits: { waitingUsers: 2 } });
    const alice = await hello(relay, "alice", device());
    for (const user of ["x", "y", "x"]) alice.say(sendTo(user, "hi"));
    for (let i = 0; i < 3; i++) await alice.next("accepted");
    alice.say(sendTo("z", "hi"));
    expect(await alice.next("refused")).toMatchObject({ why: "unavailable", reason: "too many users without a device" });
    await hello(relay, "x", device());
    alice.say(sendTo("z", "hi"));
    await alice.next("accepted");
    alice.socket.terminate();
  });

  test("options that do not go together are refused", async () => {
    relay = await start();
    for (const options of [
      { memory: true },
      { demo: true },
      { demo: true, memory: true, dataDir: directory },
      { demo: true, memory: true, host: "0.0.0.0" },
      { demo: true, memory: true, host: "192.0.2.1", tokens: new Map() },
    ] as RelayOptions[]) {
      await expect(createRelay(options)).rejects.toMatchObject({ code: "ERR_USAGE" });
    }
    await expect(start({ port: relay.port })).rejects.toMatchObject({ code: "ERR_TRANSPORT_UNAVAILABLE" });
  });
});
