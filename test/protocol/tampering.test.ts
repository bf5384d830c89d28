import { describe, expect, test } from "vitest";
import { seededRandom, testSeed } from "../support/random.ts";
import { acquainted, codeOf, Device, numbered, pair, type Received } from "./parties.ts";

const random = seededRandom(testSeed("tampering"));

/** Flips every bit of every byte, one at a time, and reports the places (byte, bit) at which the message still opened. */
function opensAt(device: Device, { kind, message }: Received): string[] {
  const opened: string[] = [];
  const before = device.snapshot();
  const record = device.record;
  const flipped = message.slice();
  for (let at = 0; at < message.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      flipped[at] = (message[at] ?? 0) ^ (1 << bit);
      const oneTime = new Map(device.oneTime);
      if (codeOf(() => device.decrypt({ kind, message: flipped })) === undefined) opened.push(`${String(at)}.${String(bit)}`);
      else expect(device.record).toBe(record);
      device.record = record;
      device.seen.clear();
      for (const [id, pair] of oneTime) device.oneTime.set(id, pair);
    }
    flipped[at] = message[at] ?? 0;
  }
  expect(device.snapshot()).toBe(before);
  return opened;
}

describe("every bit of a message flipped", () => {
  test("in a running session, on a known and on a new ratchet key", () => {
    const [alice, bob] = acquainted(random);
    const fresh = alice.encrypt(numbered(3));
    expect(opensAt(bob, fresh)).toEqual([]);
    bob.decrypt(fresh);
    const known = alice.encrypt(numbered(4));
    expect(opensAt(bob, known)).toEqual([]);
    expect(bob.decrypt(known)).toEqual(numbered(4));
  }, 30_000);

  test("with skipped keys in the way", () => {
    const [alice, bob] = acquainted(random);
    const late = alice.encrypt(numbered(3));
    bob.decrypt(alice.encrypt(numbered(4)));
    const ahead = [alice.encrypt(numbered(5)), alice.encrypt(numbered(6))][1];
    expect(opensAt(bob, late)).toEqual([]);
    expect(ahead && opensAt(bob, ahead)).toEqual([]);
    expect(bob.decrypt(late)).toEqual(numbered(3));
  }, 30_000);

  test("around a first message: only what X3DH leaves unauthenticated may change", () => {
    const [alice, bob] = pair(random);
    // Version byte, one-time id, base key, identity key, inner message, then 0x28 registration id, 0x30 signed prekey id.
    const { message } = alice.encrypt(numbered(3));
    const registration = message.length - 4;
    expect([...message.subarray(registration)]).toEqual([0x28, 1, 0x30, 11]);
    const free = new Set<string>();
    for (let bit = 0; bit < 4; bit++) free.add(`0.${String(bit)}`); // the sender's newest version
    for (let bit = 0; bit < 7; bit++) free.add(`${String(registration + 1)}.${String(bit)}`); // registration id
    // Its tag: an unknown number is passed over (fields 4 … 15 with the same wire type but those in use).
    const opened = opensAt(bob, { kind: "preKey", message });
    const elsewhere = opened.filter((place) => !free.has(place) && !place.startsWith(`${String(registration)}.`));
    expect(elsewhere).toEqual([]);
    expect([...free].filter((place) => !opened.includes(place))).toEqual([]);
    expect(bob.decrypt({ kind: "preKey", message })).toEqual(numbered(3));
  }, 60_000);

  test("cut short or lengthened, at every length", () => {
    const [alice, bob] = acquainted(random);
    const [carol, dave] = pair(random);
    for (const [device, sent] of [[bob, alice.encrypt(numbered(1))], [dave, carol.encrypt(numbered(1))]] as const) {
      const before = device.snapshot();
      for (let length = 0; length < sent.message.length; length++) {
        expect(codeOf(() => device.decrypt({ ...sent, message: sent.message.slice(0, length) }))).toMatch(/^ERR_(DECODE|DECRYPT|VERSION)$/);
      }
      const longer = new Uint8Array(sent.message.length + 1);
      longer.set(sent.message);
      expect(codeOf(() => device.decrypt({ ...sent, message: longer }))).toMatch(/^ERR_(DECODE|DECRYPT)$/);
      expect(device.snapshot()).toBe(before);
    }
  });
});
