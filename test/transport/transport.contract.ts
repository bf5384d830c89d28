/**
 * What every transport promises, as a function of a world that makes connected adapters; a third-party adapter can run it.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { concat, equal, fromUtf8, toBase64url, utf8 } from "../../src/bytes.ts";
import { MiyuError, type ErrorCode } from "../../src/errors.ts";
import type { Adapter, DeviceId, InFrame, OutFrame, Transport, UserId } from "../../src/transport/types.ts";
import type { SeededRandom } from "../support/random.ts";

/** One network, fresh for every test. */
export interface TransportWorld {
  /** A connected device of `user`. */
  connect(user: UserId, device: DeviceId): Promise<Adapter>;
  /** Cuts and restores the connection of an adapter, where the transport can be cut. */
  readonly cable?: { cut(adapter: Adapter): Promise<void> | void; restore(adapter: Adapter): Promise<void> | void };
  close(): Promise<void>;
}

/** Frames as they come in, with a promise for "so many are here". */
export interface Inbox {
  readonly frames: InFrame[];
  count(n: number): Promise<InFrame[]>;
  stop(): void;
}

/** Subscribes and collects. `on` runs first and may wait or throw; frames are acknowledged unless it returns "keep". */
export function inbox(transport: Transport, on: (frame: InFrame) => void | "keep" | Promise<void | "keep"> = () => undefined): Inbox {
  const frames: InFrame[] = [];
  const waiting: { n: number; done: (frames: InFrame[]) => void }[] = [];
  const stop = transport.subscribe(async (frame) => {
    const verdict = await on(frame);
    if (verdict !== "keep") await frame.ack?.();
    frames.push(frame);
    for (const one of [...waiting]) if (frames.length >= one.n) one.done(frames);
  });
  return {
    frames,
    stop,
    count: (n) =>
      new Promise((resolve) => {
        if (frames.length >= n) resolve(frames);
        else waiting.push({ n, done: resolve });
      }),
  };
}

/** The code of the error `promise` rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<ErrorCode | "resolved"> {
  try {
    await promise;
    return "resolved";
  } catch (error) {
    if (MiyuError.is(error)) return error.code;
    throw error;
  }
}

/** A body the transport accepts: bytes, or text of ours where it carries text. */
export function bodyFor(transport: Transport, content: string): Uint8Array {
  return transport.caps.payload === "text" ? utf8(`miyu1.${toBase64url(utf8(content))}`) : utf8(content);
}

let keys = 0;

/** A frame to a user, with a key of its own. */
export function frameTo(transport: Transport, user: UserId, content: string, more: Partial<OutFrame> = {}): OutFrame {
  return { dest: { kind: "user", user }, body: bodyFor(transport, content), class: "chat", key: `key-${String(++keys)}`, ...more };
}

const texts = (frames: readonly InFrame[]): string[] => frames.map((frame) => fromUtf8(frame.body));

/** Runs the contract. `random` only chooses sizes and contents. */
export function transportContract(name: string, makeWorld: () => Promise<TransportWorld>, random: SeededRandom): void {
  describe(`${name} transport`, () => {
    let world: TransportWorld;
    const device = (): DeviceId => toBase64url(random.bytes(16));
    beforeEach(async () => {
      world = await makeWorld();
    });
    afterEach(async () => {
      await world.close();
    });
    const pair = async (): Promise<[Transport, Transport]> => [
      (await world.connect("alice", device())).transport,
      (await world.connect("bob", device())).transport,
    ];

    test("a frame arrives with its sender, conversation and bytes", async () => {
      const [alice, bob] = await pair();
      const got = inbox(bob);
      const frame = frameTo(alice, "bob", "hello");
      const sent = await alice.send(frame);
      const [first] = await got.count(1);
      expect(first?.from).toBe("alice");
      expect(first?.conversation).toEqual({ kind: "direct", peer: "alice" });
      expect(first?.body).toEqual(frame.body);
      if (sent.id !== undefined) expect(first?.id).toBe(sent.id);
    });

    test("users may be any text", async () => {
      const odd = "张伟 / ?#%2F user@example.org";
      const alice = (await world.connect("alice", device())).transport;
      const other = (await world.connect(odd, device())).transport;
      expect(other.self).toBe(odd);
      const got = inbox(other);
      await alice.send(frameTo(alice, odd, "hi"));
      const back = inbox(alice);
      await got.count(1);
      await other.send(frameTo(other, "alice", "hi back"));
      expect((await back.count(1))[0]?.from).toBe(odd);
    });

    test("frames of every size arrive in order, both ways at once", async () => {
      const [alice, bob] = await pair();
      const [atAlice, atBob] = [inbox(alice), inbox(bob)];
      const contents = Array.from({ length: 60 }, (_, i) => `${String(i)}:${"x".repeat(random.int(i % 10 === 0 ? 20_000 : 200))}`);
      const frames = contents.map((content) => [frameTo(alice, "bob", content), frameTo(bob, "alice", content)] as const);
      await Promise.all(frames.flatMap(([there, back]) => [alice.send(there), bob.send(back)]));
      expect(texts(await atBob.count(60))).toEqual(frames.map(([there]) => fromUtf8(there.body)));
      expect(texts(await atAlice.count(60))).toEqual(frames.map(([, back]) => fromUtf8(back.body)));
    });

    test("a slow subscriber gets every frame, one at a time", async () => {
      const [alice, bob] = await pair();
      let busy = 0;
      let most = 0;
      const got = inbox(bob, async () => {
        most = Math.max(most, ++busy);
        await new Promise((resolve) => setTimeout(resolve, random.int(3)));
        busy--;
      });
      const frames = Array.from({ length: 300 }, (_, i) => frameTo(alice, "bob", String(i)));
      await Promise.all(frames.map((frame) => alice.send(frame)));
      expect(texts(await got.count(300))).toEqual(frames.map((frame) => fromUtf8(frame.body)));
      expect(most).toBe(1);
    });

    test("what came before the subscriber is kept for it", async () => {
      const [alice, bob] = await pair();
      for (const text of ["one", "two", "three"]) await alice.send(frameTo(alice, "bob", text));
      expect(await inbox(bob).count(3)).toHaveLength(3);
    });

    test("a body changed after the call is sent as it was", async () => {
      const [alice, bob] = await pair();
      const got = inbox(bob);
      const body = bodyFor(alice, "original");
      const before = concat(body);
      const done = alice.send(frameTo(alice, "bob", "", { body }));
      body.fill(0x41);
      await done;
      expect((await got.count(1))[0]?.body).toEqual(before);
    });

    test("two sends with one key are one message where keys are honoured", async () => {
      const [alice, bob] = await pair();
      const got = inbox(bob);
      const frame = frameTo(alice, "bob", "once");
      const together = await Promise.all([alice.send(frame), alice.send(frame)]);
      const later = await alice.send(frame);
      await alice.send(frameTo(alice, "bob", "last"));
      const expected = alice.caps.idempotentSend ? ["once", "last"] : ["once", "once", "once", "last"];
      await got.count(expected.length);
      expect(texts(got.frames)).toEqual(expected.map((text) => fromUtf8(bodyFor(alice, text))));
      if (alice.caps.idempotentSend) expect([together[1], later]).toEqual([together[0], together[0]]);
    });

    test("what is too large or goes nowhere is refused, and the next send works", async () => {
      const [alice, bob] = await pair();
      const got = inbox(bob);
      const body = new Uint8Array(alice.caps.maxPayload + 1).fill(0x61);
      expect(await codeOf(alice.send(frameTo(alice, "bob", "", { body })))).toBe("ERR_TOO_LARGE");
      const group = frameTo(alice, "bob", "x", { dest: { kind: "group", group: "g" } });
      expect(await codeOf(alice.send(group))).toBe("ERR_TRANSPORT_REJECTED");
      await alice.send(frameTo(alice, "bob", "fine"));
      expect(texts(await got.count(1))).toEqual([fromUtf8(bodyFor(alice, "fine"))]);
    });

    test("the largest body it promises arrives", async () => {
      const [alice, bob] = await pair();
      const got = inbox(bob);
      const body = concat(utf8("miyu1."), new Uint8Array(alice.caps.maxPayload - 6).fill(0x61));
      await alice.send(frameTo(alice, "bob", "", { body }));
      const [first] = await got.count(1);
      expect(equal(first?.body ?? new Uint8Array(), body)).toBe(true);
    });

    test("an aborted signal refuses", async () => {
      const [alice] = await pair();
      const signal = AbortSignal.abort();
      expect(await codeOf(alice.send(frameTo(alice, "bob", "x"), { signal }))).toBe("ERR_ABORTED");
    });

    test("a closed transport says so", async () => {
      const [alice] = await pair();
      inbox(alice);
      await alice.close?.();
      await alice.close?.();
      expect(await codeOf(alice.send(frameTo(alice, "bob", "x")))).toBe("ERR_CLOSED");
      expect(() => alice.subscribe(() => undefined)).toThrow(/ERR_CLOSED/);
    });

    test("an unsubscribed listener hears nothing more", async () => {
      const [alice, bob] = await pair();
      const first = inbox(bob);
      await alice.send(frameTo(alice, "bob", "one"));
      await first.count(1);
      first.stop();
      await alice.send(frameTo(alice, "bob", "two"));
      const second = inbox(bob);
      expect(texts(await second.count(1))).toEqual([fromUtf8(bodyFor(alice, "two"))]);
      expect(first.frames).toHaveLength(1);
    });

    test("a subscriber that fails once is offered the frame again, before the next one", async () => {
      const [alice, bob] = await pair();
      let failures = 1;
      const got = inbox(bob, () => {
        if (failures-- > 0) throw new Error("the store is busy");
      });
      await alice.send(frameTo(alice, "bob", "first"));
      await alice.send(frameTo(alice, "bob", "second"));
      expect(texts(await got.count(2))).toEqual(["first", "second"].map((text) => fromUtf8(bodyFor(alice, text))));
    });

    test("the state is told at once and on every change", async ({ skip }) => {
      const { cable } = world;
      const adapter = await world.connect("alice", device());
      if (cable === undefined || adapter.transport.onState === undefined) return skip("this transport has no cable to cut");
      const got = inbox(adapter.transport);
      await adapter.transport.send(frameTo(adapter.transport, "alice", "connected"));
      const seen: string[] = [];
      const stop = adapter.transport.onState((state) => seen.push(state));
      expect(seen).toEqual(["online"]);
      await cable.cut(adapter);
      await cable.restore(adapter);
      await adapter.transport.send(frameTo(adapter.transport, "alice", "connected again"));
      expect(seen).toEqual(["online", "offline", "online"]);
      stop();
      await cable.cut(adapter);
      expect(seen).toHaveLength(3);
      got.stop();
    });

    test("a send without a connection waits for it, or for its signal", async ({ skip }) => {
      const { cable } = world;
      const adapter = await world.connect("alice", device());
      const bob = (await world.connect("bob", device())).transport;
      if (cable === undefined) return skip("this transport has no cable to cut");
      const alice = adapter.transport;
      const got = inbox(bob);
      await alice.send(frameTo(alice, "bob", "zero"));
      await cable.cut(adapter);
      const abort = new AbortController();
      const given = alice.send(frameTo(alice, "bob", "given up"), { signal: abort.signal });
      const kept = alice.send(frameTo(alice, "bob", "kept"));
      abort.abort();
      expect(await codeOf(given)).toBe("ERR_ABORTED");
      await cable.restore(adapter);
      await kept;
      await alice.send(frameTo(alice, "bob", "end"));
      expect(texts(await got.count(3))).toEqual(["zero", "kept", "end"]);
    });

    test("closing ends a send that waits", async ({ skip }) => {
      const { cable } = world;
      const adapter = await world.connect("alice", device());
      if (cable === undefined) return skip("this transport has no cable to cut");
      const alice = adapter.transport;
      await alice.send(frameTo(alice, "bob", "zero"));
      await cable.cut(adapter);
      const waiting = codeOf(alice.send(frameTo(alice, "bob", "waits")));
      await alice.close?.();
      expect(await waiting).toBe("ERR_CLOSED");
    });

    test("a device that was away gets what it missed, and again what it did not acknowledge", async ({ skip }) => {
      const { cable } = world;
      const alice = (await world.connect("alice", device())).transport;
      const [firstId, secondId] = [device(), device()];
      const first = await world.connect("bob", firstId);
      if (cable === undefined || alice.caps.offline !== "durable") return skip("this transport keeps nothing for who is away");
      const before = inbox(first.transport, (frame) => (fromUtf8(frame.body) === "not stored" ? "keep" : undefined));
      await alice.send(frameTo(alice, "bob", "stored"));
      await alice.send(frameTo(alice, "bob", "not stored"));
      await before.count(2);
      await first.transport.close?.();
      await alice.send(frameTo(alice, "bob", "missed"));
      const other = inbox((await world.connect("bob", secondId)).transport);
      const after = inbox((await world.connect("bob", firstId)).transport);
      await alice.send(frameTo(alice, "bob", "live"));
      expect(texts(await after.count(3))).toEqual(["not stored", "missed", "live"]);
      expect(texts(await other.count(1))).toEqual(["live"]);
    });

    test("a user without a device yet: frames wait for the first one", async ({ skip }) => {
      const alice = (await world.connect("alice", device())).transport;
      if (alice.caps.offline !== "durable") return skip("this transport keeps nothing for who is away");
      for (const text of ["one", "two"]) await alice.send(frameTo(alice, "carol", text));
      const got = inbox((await world.connect("carol", device())).transport);
      expect(texts(await got.count(2))).toEqual(["one", "two"]);
      const later = inbox((await world.connect("carol", device())).transport);
      await alice.send(frameTo(alice, "carol", "both"));
      expect(texts(await later.count(1))).toEqual(["both"]);
    });

    test("the sender's other devices get a copy, the sending one does not", async ({ skip }) => {
      const [phone, laptop] = [(await world.connect("alice", device())).transport, (await world.connect("alice", device())).transport];
      const bob = (await world.connect("bob", device())).transport;
      if (phone.caps.ownCopy !== "other-devices") return skip("this transport makes no copies for own devices");
      const [atPhone, atLaptop, atBob] = [inbox(phone), inbox(laptop), inbox(bob)];
      await Promise.all([phone, laptop, bob].map((one) => one.send(frameTo(one, "nobody", "all are known now"))));
      await phone.send(frameTo(phone, "bob", "copied"));
      await atBob.count(1);
      const copied = (await atLaptop.count(2))[1];
      expect(copied).toMatchObject({ from: "alice", conversation: { kind: "direct", peer: "bob" }, replay: "own-device" });
      await phone.send(frameTo(phone, "alice", "note to self"));
      expect(texts((await atLaptop.count(3)).slice(2))).toEqual(["note to self"]);
      expect(texts(atPhone.frames)).toEqual(["all are known now"]);
    });

    test("a frame to one device goes to no other", async ({ skip }) => {
      const alice = (await world.connect("alice", device())).transport;
      if (!alice.caps.dests.includes("device")) return skip("this transport addresses users only");
      const [oneId, twoId] = [device(), device()];
      const [one, two] = [(await world.connect("bob", oneId)).transport, (await world.connect("bob", twoId)).transport];
      const [atOne, atTwo] = [inbox(one), inbox(two)];
      await Promise.all([one, two].map((at) => at.send(frameTo(at, "nobody", "known"))));
      await Promise.all([atOne.count(1), atTwo.count(1)]);
      await alice.send(frameTo(alice, "bob", "for two", { dest: { kind: "device", user: "bob", device: twoId } }));
      await alice.send(frameTo(alice, "bob", "for both"));
      expect(texts((await atOne.count(2)).slice(1))).toEqual(["for both"]);
      expect(texts((await atTwo.count(3)).slice(1))).toEqual(["for two", "for both"]);
    });
  });
}
