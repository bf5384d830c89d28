// Attack 16: decoders that panic, loop or obey on bytes nobody should send: unknown tags, duplicate fields, overlong varints, trailing
// bytes, nested groups, `__proto__` (OpenE2EE 0.2.1, openmls GHSA-rrmv-c79f-cf5r). Guards: `Reader` of src/bytes.ts, `ProtobufReader` of
// src/protocol/codec.ts, and one transaction per message. Without a bound or an `end()` something throws untyped, opens or is stored.
import { describe, expect, test } from "vitest";
import { concat, copy, equal, utf8, type Bytes } from "../../src/bytes.ts";
import { decodeDirectoryRecord, decodeStockedPreKey, encodeDirectoryRecord, encodeStockedPreKey } from "../../src/envelope/bundle.ts";
import { decodeFrame, encodeBundleReply, encodeBundleRequest } from "../../src/envelope/control.ts";
import { decodeDeviceList } from "../../src/envelope/deviceList.ts";
import { decodeEnvelope } from "../../src/envelope/envelope.ts";
import { decodePreKeySignalMessage, decodeSignalMessage } from "../../src/protocol/index.ts";
import { craft, unknownGroups } from "../interop/craft.ts";
import { acquainted, codeOf, crypto as fast, numbered, pair } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { attack, open, outcome, say, seal, stateOf, World, type Person } from "./people.ts";
import { currentOf, onlySlot, Villain, withSlots } from "./villain.ts";

const random = seededRandom(testSeed("16 decoder fuzz"));
const varint = (value: number): Bytes => Uint8Array.of(...(value > 127 ? [(value & 127) | 128, ...varint(value >>> 7)] : [value]));

/** One to three changes: bits, bytes, lengths at their limits, cuts, insertions, repetitions. */
function mutate(bytes: Uint8Array): Bytes {
  let out = copy(bytes);
  for (let left = 1 + random.int(3); left > 0; left--) {
    const at = random.int(out.length + 1);
    const end = Math.min(out.length, at + random.int(40));
    const change = random.int(6);
    if (change === 0 && at < out.length) out[at] = (out[at] ?? 0) ^ (1 << random.int(8));
    else if (change === 1 && at < out.length) out[at] = random.pick([0, 1, 0x7f, 0x80, 0xff]);
    else if (change === 2) out = out.slice(0, at);
    else if (change === 3) out = concat(out.subarray(0, at), random.bytes(1 + random.int(8)), out.subarray(at));
    else if (change === 4) out = concat(out.subarray(0, at), out.subarray(end));
    else out = concat(out.subarray(0, end), out.subarray(at));
  }
  return out;
}

test("mutated messages through a client: typed results, and what is not opened leaves no trace", async () => {
  const world = new World(random);
  const [alice, bob] = await world.friends();
  const carol = await world.join("carol");
  const bodies: [Person, Bytes][] = [[alice, (await seal(alice, bob, "steady")).body], [carol, (await seal(carol, bob, "first")).body]];
  await bob.client.safetyNumber("carol");
  const original = new Map([...bob.medium.records].map(([key, value]) => [key, copy(value)]));
  const state = await stateOf(bob);
  const seen = new Map<string, number>();
  for (let round = 0; round < 3_000; round++) {
    const [from, body] = random.pick(bodies);
    const bytes = mutate(body);
    if (equal(bytes, body)) continue;
    const opened = await open(bob, from, random.chance(0.1) ? `miyu1.${Buffer.from(bytes).toString("base64url")}` : bytes);
    const result = outcome(opened);
    seen.set(result, (seen.get(result) ?? 0) + 1);
    if (opened.kind !== "message") continue;
    // Only around the Signal message of a first message is there anything that nobody authenticates.
    expect([from.user, opened.text]).toEqual(["carol", "first"]);
    bob.medium.records.clear();
    for (const [key, value] of original) bob.medium.records.set(key, copy(value));
  }
  console.info(JSON.stringify([...seen]));
  expect(await stateOf(bob)).toBe(state);
  expect([...seen.keys()].filter((result) => !/^(undecryptable|corrupt, none|version, (update|none)|no-session, none|prekey-gone, none|device-not-listed, none|identity-changed, verify|control|message)$/u.test(result))).toEqual([]);
  expect(seen.get("corrupt, none")).toBeGreaterThan(500);
  for (const [from, body] of bodies) expect(outcome(await open(bob, from, body))).toBe("message");
}, 120_000);

describe("the protobuf reader", () => {
  const [alice, bob] = acquainted(random);
  const state = currentOf(alice);

  test("unknown fields, any order, doubles and longer varints read as everybody reads them; what is malformed is refused", () => {
    const tagged = (field: number, type: number): Bytes => varint((field << 3) | type);
    const unknown = [
      concat(tagged(9, 0), varint(5)),
      concat(tagged(9, 1), new Uint8Array(8)),
      concat(tagged(9, 2), varint(3), new Uint8Array(3)),
      concat(tagged(9, 5), new Uint8Array(4)),
      unknownGroups(100),
    ];
    const message = craft(fast, state, { plaintext: numbered(1) }).bytes;
    const head = message.subarray(0, -8);
    for (const extra of unknown) expect(codeOf(() => decodeSignalMessage(concat(head, extra, new Uint8Array(8))))).toBeUndefined();
    const bad = [
      concat(tagged(9, 0), new Uint8Array(10).fill(0x80), Uint8Array.of(1)),
      concat(tagged(9, 0), Uint8Array.of(0x80)),
      concat(tagged(9, 1), new Uint8Array(7)),
      concat(tagged(9, 2), varint(0x7fffffff)),
      concat(tagged(9, 2), Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01)),
      concat(tagged(0, 0), varint(0)),
      tagged(9, 4),
      tagged(9, 6),
      tagged(9, 7),
      concat(tagged(9, 3), tagged(8, 4)),
      tagged(9, 3),
      unknownGroups(101),
      new Uint8Array(100_000).fill((9 << 3) | 3),
      concat(tagged(1, 0), varint(1)),
    ];
    for (const extra of bad) expect(codeOf(() => decodeSignalMessage(concat(head, extra, new Uint8Array(8)))), Buffer.from(extra.subarray(0, 20)).toString("hex")).toBe("ERR_DECODE");
  });

  test("a field given twice cannot say one thing to the MAC and another to the reader", () => {
    const twice = craft(fast, state, { plaintext: numbered(1), innerFields: (fields) => [[2, 77], ...fields] });
    // The last one counts, and the MAC covers both.
    expect(decodeSignalMessage(twice.bytes).counter).toBe(state.senderChain.index);
    expect(bob.decrypt({ kind: "signal", message: twice.bytes })).toEqual(numbered(1));
    const [carol] = pair(random);
    const first = craft(fast, currentOf(carol), { outerFields: (fields) => [...fields, [3, bob.local.identityKeyPair.publicKey]] });
    expect(decodePreKeySignalMessage(first.bytes).identityKey).toEqual(bob.local.identityKeyPair.publicKey);
  });
});

test("our own frames have one encoding: a byte too many or too few is refused, everywhere", () => {
  const mallory = new Villain(random);
  const record = mallory.directoryRecord();
  const request = encodeBundleRequest(random.bytes(16));
  const reply = encodeBundleReply(random.bytes(16), record);
  const stocked = encodeStockedPreKey({ id: 1, publicKey: mallory.account.publicKey });
  const decoders: [string, Bytes, (bytes: Uint8Array) => unknown][] = [
    ["device list", mallory.ownList.signed, (bytes) => decodeDeviceList(fast, bytes)],
    ["directory record", record, decodeDirectoryRecord],
    ["stocked prekey", stocked, decodeStockedPreKey],
    ["request", request, decodeFrame],
    ["reply", reply, decodeFrame],
  ];
  for (const [name, bytes, decode] of decoders) {
    expect(codeOf(() => decode(bytes)), name).toBeUndefined();
    expect(codeOf(() => decode(concat(bytes, new Uint8Array(1)))), name).toBe("ERR_DECODE");
    for (let length = 0; length < bytes.length; length++) expect(codeOf(() => decode(bytes.subarray(0, length))), `${name} cut to ${String(length)}`).toMatch(/^ERR_(DECODE|SIGNATURE)$/u);
  }
  expect(codeOf(() => encodeDirectoryRecord({ deviceList: record, bundles: [] }))).toBeUndefined();
});

test("an envelope with trailing bytes, slots out of order or twice is refused", async () => {
  const [alice, bob] = await new World(random).friends();
  const { body } = await seal(alice, bob, "hi");
  expect(await attack(bob, alice, concat(body, new Uint8Array(1)))).toBe("corrupt, none");
  expect(await attack(bob, alice, body.subarray(0, -1))).toBe("corrupt, none");
  const slot = onlySlot(body);
  const encoded = concat(slot.tag, Uint8Array.of(2, slot.message.length >>> 8, slot.message.length), slot.message);
  const twice = concat(body.subarray(0, 66), Uint8Array.of(0, 2), encoded, encoded, body.subarray(68 + encoded.length));
  expect(decodeEnvelope(body).slots).toHaveLength(1);
  expect(codeOf(() => decodeEnvelope(twice))).toBe("ERR_DECODE");
  expect(await attack(bob, alice, twice)).toBe("corrupt, none");
  expect(await attack(bob, alice, withSlots(body, (one) => ({ ...one, message: new Uint8Array() })))).toBe("corrupt, none");
  expect(outcome(await open(bob, alice, body))).toBe("message");
});

test("names that mean something to JavaScript are names like any other", async () => {
  const world = new World(random);
  const people = [];
  for (const name of ["__proto__", "constructor", "hasOwnProperty", "toString"]) people.push(await world.join(name));
  const bob = await world.join("bob");
  for (const person of people) {
    expect(await say(person, bob, `from ${person.user}`)).toMatchObject({ kind: "message", from: { user: person.user } });
    expect(await say(bob, person, "back")).toMatchObject({ kind: "message", text: "back" });
    expect((await bob.client.history({ conversation: person.user })).map((message) => message.text)).toEqual([`from ${person.user}`, "back"]);
    await bob.client.decrypt({ from: person.user, body: utf8("x") });
  }
  expect(Object.keys({})).toEqual([]);
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  expect(Object.keys(Object.prototype)).toEqual([]);
});
