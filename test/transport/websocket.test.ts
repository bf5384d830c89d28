import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { WebSocket as NodeWebSocket } from "ws";
import { fromUtf8, toBase64url, utf8 } from "../../src/bytes.ts";
import { createRelay, type Relay, type RelayOptions } from "../../src/relay/index.ts";
import {
  webSocketAdapter,
  type WebSocketAdapter,
  type WebSocketAdapterOptions,
  type WebSocketConstructor,
  type WebSocketLike,
} from "../../src/transport/websocket.ts";
import type { Adapter } from "../../src/transport/types.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { directoryContract } from "./directory.contract.ts";
import { codeOf, frameTo, inbox, transportContract, type TransportWorld } from "./transport.contract.ts";

const random = seededRandom(testSeed("websocket transport"));
const device = (): string => toBase64url(random.bytes(16));

const startRelay = async (options: Partial<RelayOptions> = {}): Promise<Relay> =>
  createRelay({ memory: true, authenticate: (token) => (token.startsWith("of ") ? token.slice(3) : undefined), ...options });

function connect(relay: Relay, user: string, options: Partial<WebSocketAdapterOptions> = {}): WebSocketAdapter {
  // HTTP headers carry bytes only, so a token is ASCII.
  return webSocketAdapter({ url: relay.url, user, token: `of ${user}`, device: device(), backoff: { baseMs: 5, maxMs: 50 }, ...options });
}

const bodies = (frames: readonly { body: Uint8Array }[]): string[] => frames.map((frame) => fromUtf8(frame.body));

/** A relay of its own with adapters that are closed with it. Users are named by base64url, because tokens are ASCII. */
async function relayWorld(): Promise<TransportWorld & { as(user: string): Promise<WebSocketAdapter["directory"]> }> {
  const relay = await createRelay({ memory: true, authenticate: (token) => decodeURIComponent(token) });
  const adapters: WebSocketAdapter[] = [];
  const cables = new Map<Adapter, WebSocketAdapter>();
  const make = (user: string, id: string): WebSocketAdapter => {
    const adapter = connect(relay, user, { device: id, token: encodeURIComponent(user) });
    adapters.push(adapter);
    cables.set(adapter, adapter);
    return adapter;
  };
  return {
    async connect(user, id) {
      const adapter = make(user, id);
      adapter.transport.attach(id);
      await online(adapter);
      return adapter;
    },
    as: async (user) => Promise.resolve(make(user, device()).directory),
    cable: { cut: (adapter) => cables.get(adapter)?.transport.pause(), restore: (adapter) => cables.get(adapter)?.transport.resume() },
    async close() {
      await Promise.all(adapters.map(async ({ transport }) => transport.close()));
      await relay.close();
    },
  };
}

async function online({ transport }: WebSocketAdapter, wanted = "online"): Promise<void> {
  await new Promise<void>((resolve) => {
    const stop = transport.onState((state) => {
      if (state !== wanted) return;
      resolve();
      queueMicrotask(() => {
        stop();
      });
    });
  });
}

transportContract("websocket", relayWorld, random);
directoryContract("relay", relayWorld, random, 3);

describe("websocket adapter", () => {
  test("options that make no sense are refused", async () => {
    const given = { user: "alice", token: "t" };
    for (const url of ["", "relay", "ftp://relay.example", "javascript:alert(1)"]) expect(() => webSocketAdapter({ ...given, url })).toThrow(/ERR_USAGE/);
    for (const token of ["", "demo:戴夫", "two\nlines"]) expect(() => webSocketAdapter({ ...given, url: "wss://relay.example", token })).toThrow(/ERR_USAGE/);
    const { transport } = webSocketAdapter({ ...given, url: "wss://relay.example/base/" });
    expect(() => transport.subscribe(() => undefined)).toThrow(/ERR_USAGE/);
    expect(await codeOf(transport.send(frameTo(transport, "bob", "x")))).toBe("ERR_USAGE");
    expect(() => {
      transport.attach("not an id");
    }).toThrow(/ERR_USAGE/);
    await transport.close();
  });

  test("a socket class is taken as given: the browser's type fits, that of ws works", async () => {
    const typed = (option: WebSocketConstructor): WebSocketConstructor => option;
    if (typeof WebSocket === "function") expect(typed(WebSocket)).toBe(WebSocket);
    const relay = await startRelay();
    let made = 0;
    class Counted extends NodeWebSocket {
      constructor(url: string) {
        super(url);
        made++;
      }
    }
    const alice = connect(relay, "alice", { WebSocket: typed(Counted), url: relay.url.replace("http", "ws") });
    expect(await codeOf(alice.transport.send(frameTo(alice.transport, "bob", "x")))).toBe("resolved");
    expect(made).toBe(1);
    await alice.transport.close();
    await relay.close();
  });

  test("back-off doubles its ceiling up to the greatest, with full jitter", async () => {
    const draws: number[] = [];
    const drawn = [0.5, 0, 0.25, 0.999, 0.1, 0.2];
    let attempts = 0;
    // Never opens: each attempt closes at once, so every pause is drawn.
    class Unreachable implements WebSocketLike {
      binaryType = "";
      constructor() {
        attempts++;
      }
      send(): void {
        throw new Error("not open");
      }
      close(): void {
        throw new Error("not open");
      }
      addEventListener(type: string, listener: (event: { code: number; data: unknown }) => void): void {
        if (type === "close") queueMicrotask(() => {
          listener({ code: 1006, data: undefined });
        });
      }
    }
    const pauses: number[] = [];
    const timer = globalThis.setTimeout;
    globalThis.setTimeout = ((run: () => void, ms = 0) => {
      // A pause follows its draw at once; other timers of this process are left alone.
      const drawnNow = pauses.length < draws.length;
      if (drawnNow) pauses.push(ms);
      return timer(run, drawnNow ? 0 : ms);
    }) as typeof globalThis.setTimeout;
    const random = (): number => {
      const next = drawn[draws.length] ?? 0;
      draws.push(next);
      return next;
    };
    const { transport } = webSocketAdapter({
      url: "ws://relay.example",
      user: "alice",
      token: "t",
      device: device(),
      WebSocket: Unreachable,
      backoff: { baseMs: 100, maxMs: 1_000 },
      random,
    });
    try {
      transport.subscribe(() => undefined);
      while (attempts < 6) await new Promise((resolve) => timer(resolve, 1));
    } finally {
      globalThis.setTimeout = timer;
      await transport.close();
    }
    expect(pauses.slice(0, 5)).toEqual([50, 0, 100, 799, 100]);
  });

  test("a pending send survives a relay that is killed and comes back, and counts once", async () => {
    let relay = await startRelay();
    const { port } = relay;
    const alice = connect(relay, "alice");
    inbox(alice.transport);
    await online(alice);
    await relay.close();
    const frame = frameTo(alice.transport, "bob", "patience");
    const sending = alice.transport.send(frame);
    relay = await startRelay({ port });
    const sent = await sending;
    expect(await alice.transport.send(frame)).toEqual(sent);
    const bob = connect(relay, "bob");
    const got = inbox(bob.transport);
    await alice.transport.send(frameTo(alice.transport, "bob", "end"));
    expect(bodies(await got.count(2))).toEqual(["patience", "end"]);
    await Promise.all([alice.transport.close(), bob.transport.close()]);
    await relay.close();
  });

  test("a relay that lost its rows is noticed: its new mailbox is read from the start", async () => {
    let relay = await startRelay();
    const { port } = relay;
    const [alice, bob] = [connect(relay, "alice"), connect(relay, "bob")];
    const got = inbox(bob.transport);
    for (let i = 0; i < 5; i++) await alice.transport.send(frameTo(alice.transport, "bob", `before ${String(i)}`));
    await got.count(5);
    await relay.close();
    relay = await startRelay({ port });
    await alice.transport.send(frameTo(alice.transport, "bob", "after"));
    expect((await got.count(6)).at(-1)?.body).toEqual(utf8("after"));
    await Promise.all([alice.transport.close(), bob.transport.close()]);
    await relay.close();
  });

  test("acknowledgements need both: the promise and the call", async () => {
    const relay = await startRelay();
    const alice = connect(relay, "alice");
    const id = device();
    const first = connect(relay, "bob", { device: id });
    const acks: (() => unknown)[] = [];
    let seen = 0;
    first.transport.subscribe((frame) => {
      seen++;
      const text = fromUtf8(frame.body);
      if (text === "early") void frame.ack?.();
      if (text === "late") acks.push(() => frame.ack?.());
      if (text === "end") void frame.ack?.();
    });
    for (const text of ["early", "late", "never", "end"]) await alice.transport.send(frameTo(alice.transport, "bob", text));
    while (seen < 4) await new Promise((resolve) => setTimeout(resolve, 1));
    for (const ack of acks) ack();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await first.transport.close();
    const second = connect(relay, "bob", { device: id });
    const got = inbox(second.transport);
    await alice.transport.send(frameTo(alice.transport, "bob", "new"));
    expect(bodies(await got.count(2))).toEqual(["never", "new"]);
    await Promise.all([alice.transport.close(), second.transport.close()]);
    await relay.close();
  });

  test("an acknowledgement during a reconnection waits for the welcome, and is not lost", async () => {
    let relay = await startRelay();
    const { port } = relay;
    const firsts: number[] = [];
    let late: (() => unknown) | undefined;
    class Watched extends NodeWebSocket {
      begun = false;
      constructor(url: string) {
        super(url);
        // The worst moment: the socket exists and is not open.
        late?.();
      }
      override send(bytes: Parameters<NodeWebSocket["send"]>[0]): void {
        if (!this.begun) firsts.push(bytes instanceof Uint8Array ? (bytes[0] ?? 0) : -1);
        this.begun = true;
        super.send(bytes);
      }
    }
    const dataDir = await mkdtemp(join(tmpdir(), "miyu-late-"));
    await relay.close();
    const durable = async (): Promise<Relay> => createRelay({ port, dataDir, authenticate: (token) => token.slice(3) });
    relay = await durable();
    const id = device();
    const alice = connect(relay, "alice");
    const bob = connect(relay, "bob", { device: id, WebSocket: Watched });
    const arrived = new Promise<void>((resolve) => {
      bob.transport.subscribe((frame) => {
        late = () => frame.ack?.();
        resolve();
      });
    });
    await alice.transport.send(frameTo(alice.transport, "bob", "late"));
    await arrived;
    await relay.close();
    relay = await durable();
    await online(bob);
    expect(await codeOf(bob.transport.send(frameTo(bob.transport, "alice", "after the acknowledgement")))).toBe("resolved");
    expect(firsts.length).toBeGreaterThan(1);
    expect(new Set(firsts)).toEqual(new Set([1]));
    await bob.transport.close();
    const again = connect(relay, "bob", { device: id });
    const got = inbox(again.transport);
    await alice.transport.send(frameTo(alice.transport, "bob", "new"));
    expect(bodies(await got.count(1))).toEqual(["new"]);
    await Promise.all([alice.transport.close(), again.transport.close()]);
    await relay.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  test("a wrong token is final, a wrong user too; a token function may come up with a better one", async () => {
    const relay = await startRelay();
    const wrong = connect(relay, "alice", { token: "no" });
    expect(await codeOf(wrong.transport.send(frameTo(wrong.transport, "bob", "x")))).toBe("ERR_TRANSPORT_REJECTED");
    expect(await codeOf(wrong.transport.send(frameTo(wrong.transport, "bob", "x")))).toBe("ERR_TRANSPORT_REJECTED");
    expect(await codeOf(wrong.directory.read("bob"))).toBe("ERR_TRANSPORT_REJECTED");
    const other = connect(relay, "alice", { token: "of mallory" });
    expect(await codeOf(other.transport.send(frameTo(other.transport, "bob", "x")))).toBe("ERR_TRANSPORT_REJECTED");
    expect(await codeOf(other.directory.publish(utf8("x"), null))).toBe("ERR_TRANSPORT_REJECTED");
    let asked = 0;
    const renewing = connect(relay, "alice", { token: async () => Promise.resolve(++asked < 3 ? "expired" : "of alice") });
    expect(await codeOf(renewing.transport.send(frameTo(renewing.transport, "bob", "x")))).toBe("resolved");
    expect(asked).toBe(3);
    await Promise.all([wrong, other, renewing].map(async ({ transport }) => transport.close()));
    await relay.close();
  });

  test("a device connected twice: the newer one has the mailbox, the older one stays offline until it sends", async () => {
    const relay = await startRelay();
    const id = device();
    const alice = connect(relay, "alice");
    const older = connect(relay, "bob", { device: id });
    const atOlder = inbox(older.transport);
    await online(older);
    const newer = connect(relay, "bob", { device: id });
    const atNewer = inbox(newer.transport);
    await online(older, "offline");
    await alice.transport.send(frameTo(alice.transport, "bob", "to the newer"));
    expect(bodies(await atNewer.count(1))).toEqual(["to the newer"]);
    expect(atOlder.frames).toHaveLength(0);
    expect(await codeOf(older.transport.send(frameTo(older.transport, "alice", "I am back")))).toBe("resolved");
    await alice.transport.send(frameTo(alice.transport, "bob", "to the older"));
    expect(bodies(await atOlder.count(1))).toEqual(["to the older"]);
    await Promise.all([alice, older, newer].map(async ({ transport }) => transport.close()));
    await relay.close();
  });

  test("limits of the relay come as typed errors", async () => {
    const relay = await startRelay({ limits: { body: 1_000, mailboxMessages: 3, sendsPerSecond: 0.001, sendBurst: 7, devices: 1, prekeys: 5, record: 2_000 } });
    const alice = connect(relay, "alice");
    const sendTo = async (user: string, size = 10): Promise<string> =>
      codeOf(alice.transport.send(frameTo(alice.transport, user, "", { body: new Uint8Array(size) })));
    expect(await sendTo("bob", 1_001)).toBe("ERR_TOO_LARGE");
    expect([await sendTo("bob", 1_000), await sendTo("bob"), await sendTo("bob")]).toEqual(["resolved", "resolved", "resolved"]);
    const full = alice.transport.send(frameTo(alice.transport, "bob", "x"));
    await expect(full).rejects.toMatchObject({ code: "ERR_TRANSPORT_UNAVAILABLE", detail: { reason: "mailbox full" } });
    expect([await sendTo("carol"), await sendTo("carol")]).toEqual(["resolved", "resolved"]);
    const stranger = alice.transport.send(frameTo(alice.transport, "", "x", { dest: { kind: "device", user: "bob", device: device() } }));
    expect(await codeOf(stranger)).toBe("ERR_TRANSPORT_REJECTED");
    const fast = alice.transport.send(frameTo(alice.transport, "carol", "x"));
    await expect(fast).rejects.toMatchObject({ code: "ERR_TRANSPORT_UNAVAILABLE", detail: { reason: "too many sends" } });
    const second = connect(relay, "alice");
    expect(await codeOf(second.transport.send(frameTo(second.transport, "bob", "x")))).toBe("ERR_TRANSPORT_REJECTED");
    const keys = Array.from({ length: 6 }, () => random.bytes(36));
    expect(await codeOf(alice.directory.stock?.(device(), keys) ?? Promise.resolve())).toBe("ERR_TRANSPORT_REJECTED");
    expect(await codeOf(alice.directory.publish(new Uint8Array(2_001), null))).toBe("ERR_TOO_LARGE");
    await Promise.all([alice.transport.close(), second.transport.close()]);
    await relay.close();
  });

  test("a fourth claim within the hour finds no key, a stocked key is not stocked twice", async () => {
    let clock = 1_000_000;
    const relay = await startRelay({ now: () => clock });
    const [alice, bob, carol] = [connect(relay, "alice").directory, connect(relay, "bob").directory, connect(relay, "carol").directory];
    const id = device();
    const keys = Array.from({ length: 10 }, () => random.bytes(36));
    expect(await alice.stock?.(id, keys)).toBe(10);
    expect(await alice.stock?.(id, keys)).toBe(10);
    const claims = [];
    for (let i = 0; i < 5; i++) claims.push(await bob.claim?.("alice", id));
    expect(claims).toEqual([keys[0], keys[1], keys[2], undefined, undefined]);
    expect(await carol.claim?.("alice", id)).toEqual(keys[3]);
    expect(await alice.stock?.(id, keys)).toBe(6);
    clock += 3_600_001;
    expect(await bob.claim?.("alice", id)).toEqual(keys[4]);
    await relay.close();
  });

  test("while paused, directory calls fail and resume brings everything back", async () => {
    const relay = await startRelay();
    const alice = connect(relay, "alice");
    inbox(alice.transport);
    await online(alice);
    alice.transport.pause();
    expect(await codeOf(alice.directory.read("bob"))).toBe("ERR_TRANSPORT_UNAVAILABLE");
    alice.transport.resume();
    await online(alice);
    expect(await alice.directory.read("bob")).toBeUndefined();
    await relay.close();
    expect(await codeOf(alice.directory.read("bob"))).toBe("ERR_TRANSPORT_UNAVAILABLE");
    await alice.transport.close();
  });
});
