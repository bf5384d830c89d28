import { describe, expect, test } from "vitest";
import { concat, toBase64url, toHex, u16be, utf8 } from "../../src/bytes.ts";
import { MiyuError } from "../../src/errors.ts";
import {
  decodeClientFrame,
  decodeServerFrame,
  encodeClientFrame,
  encodeDelivery,
  encodeParcel,
  encodeServerFrame,
  MAX_ACKS,
  type ClientFrame,
  type ServerFrame,
} from "../../src/transport/relayFrames.ts";
import { seededRandom, testSeed } from "../support/random.ts";

const id = toBase64url(Uint8Array.from({ length: 16 }, (_, i) => i));
const other = toBase64url(new Uint8Array(16).fill(255));

const CLIENT: ClientFrame[] = [
  { kind: "hello", token: "tökén", device: id, mailbox: other, cursor: 2 ** 40 },
  { kind: "send", request: 7, key: "k", dest: { kind: "user", user: "张伟" }, class: "chat", body: utf8("body") },
  { kind: "send", request: 0xffffffff, key: "key 2", dest: { kind: "device", user: "bob", device: other }, class: "ephemeral", body: new Uint8Array() },
  { kind: "ack", cursor: 3, sequences: [1, 2, Number.MAX_SAFE_INTEGER] },
  { kind: "ack", cursor: 0, sequences: [] },
  { kind: "ping", nonce: 5 },
];
const parcel = { id, at: 1_700_000_000_000, class: "control" as const, from: "alice", to: "bob", body: utf8("opaque") };
const SERVER: ServerFrame[] = [
  { kind: "welcome", user: "alice", mailbox: id, now: 1_700_000_000_000, maxBody: 1 << 20 },
  { kind: "accepted", request: 7, id, at: 1 },
  { kind: "refused", request: 7, why: "unavailable", retryAfterMs: 60_000, limit: 0, reason: "mailbox full" },
  { kind: "deliver", sequence: 9, parcel },
  { kind: "pong", nonce: 5 },
];
const encodeServer = (frame: ServerFrame): Uint8Array =>
  frame.kind === "deliver" ? encodeDelivery(frame.sequence, encodeParcel(frame.parcel)) : encodeServerFrame(frame);

describe("relay frames", () => {
  test("every frame is read as it was written", () => {
    for (const frame of CLIENT) expect(decodeClientFrame(encodeClientFrame(frame))).toEqual(frame);
    for (const frame of SERVER) expect(decodeServerFrame(encodeServer(frame))).toEqual(frame);
  });

  test("the bytes are those of docs/relay.md", () => {
    const device = "000102030405060708090a0b0c0d0e0f";
    const hello: ClientFrame = { kind: "hello", token: "demo:alice", device: id, mailbox: "A".repeat(22), cursor: 0 };
    expect(toHex(encodeClientFrame(hello))).toBe(`0101000a64656d6f3a616c696365${device}${"00".repeat(16)}0000000000000000`);
    const send: ClientFrame = { kind: "send", request: 1, key: "k1", dest: { kind: "user", user: "bob" }, class: "chat", body: utf8("hi") };
    expect(toHex(encodeClientFrame(send))).toBe("0200000001" + "00026b31" + "010003626f62" + "01" + "000000026869");
    expect(toHex(encodeClientFrame({ kind: "ack", cursor: 2, sequences: [1, 2] }))).toBe("03000000000000000200020000000000000001" + "0000000000000002");
    expect(toHex(encodeServerFrame({ kind: "accepted", request: 1, id, at: 258 }))).toBe(`8200000001${device}0000000000000102`);
    const delivery = encodeDelivery(1, encodeParcel({ id, at: 258, class: "chat", from: "alice", to: "bob", body: utf8("hi") }));
    expect(toHex(delivery)).toBe(`840000000000000001${device}0000000000000102010005616c6963650003626f62000000026869`);
  });

  test("what a frame may not hold is refused", () => {
    const bad: [string, Uint8Array][] = [
      ["nothing", new Uint8Array()],
      ["an unknown type", Uint8Array.of(9)],
      ["a byte too many", concat(encodeClientFrame({ kind: "ping", nonce: 1 }), Uint8Array.of(0))],
      ["an empty key", encodeClientFrame({ kind: "send", request: 1, key: "", dest: { kind: "user", user: "bob" }, class: "chat", body: new Uint8Array() })],
      ["a key of 129 bytes", encodeClientFrame({ kind: "send", request: 1, key: "k".repeat(129), dest: { kind: "user", user: "b" }, class: "chat", body: new Uint8Array() })],
      ["an empty user", encodeClientFrame({ kind: "send", request: 1, key: "k", dest: { kind: "user", user: "" }, class: "chat", body: new Uint8Array() })],
      ["a user of 257 bytes", encodeClientFrame({ kind: "send", request: 1, key: "k", dest: { kind: "user", user: "u".repeat(257) }, class: "chat", body: new Uint8Array() })],
      ["too many acknowledgements", encodeClientFrame({ kind: "ack", cursor: 1, sequences: Array.from({ length: MAX_ACKS + 1 }, (_, i) => i) })],
      ["an unsafe integer", concat(Uint8Array.of(3), new Uint8Array(8).fill(255), u16be(0))],
      ["bytes that are not UTF-8", concat(Uint8Array.of(1, 1), u16be(1), Uint8Array.of(0xff), new Uint8Array(40))],
      ["a class 0", concat(Uint8Array.of(2, 0, 0, 0, 1, 0, 1, 0x6b, 1, 0, 1, 0x62, 0, 0, 0, 0, 0))],
    ];
    for (const [what, bytes] of bad) expect(() => decodeClientFrame(bytes), what).toThrow(/ERR_DECODE/);
    expect(() => decodeClientFrame(Uint8Array.of(1, 2))).toThrow(/ERR_VERSION/);
    expect(() => decodeServerFrame(Uint8Array.of(0x81, 9))).toThrow(/ERR_VERSION/);
  });

  test("mutations of valid frames give frames or typed errors", () => {
    const random = seededRandom(testSeed("relay frames"));
    const runs = 15_000;
    for (const [name, valid, decode] of [
      ["device to relay", CLIENT.map(encodeClientFrame), decodeClientFrame],
      ["relay to device", SERVER.map(encodeServer), decodeServerFrame],
    ] as const) {
      const count = { read: 0, inner: 0 };
      for (let run = 0; run < runs; run++) {
        const bytes = new Uint8Array(random.pick(valid));
        for (let flips = random.int(4); flips >= 0; flips--) bytes[random.int(bytes.length)] = random.int(256);
        const cut = random.chance(0.2) ? bytes.slice(0, random.int(bytes.length + 1)) : bytes;
        const input = random.chance(0.1) ? concat(cut, random.bytes(random.int(20))) : cut;
        try {
          decode(input);
          count.read++;
          count.inner++;
        } catch (error) {
          if (!MiyuError.is(error, "ERR_DECODE") && !MiyuError.is(error, "ERR_VERSION")) throw error;
          if (MiyuError.is(error, "ERR_DECODE") && (error.detail.offset ?? 2) > 1) count.inner++;
        }
      }
      console.info(`${name}: ${String(runs)} mutations, ${String(count.inner)} past the first byte, ${String(count.read)} readable`);
      expect(count.inner / runs).toBeGreaterThan(0.3);
    }
  });
});
