import { describe, expect, test } from "vitest";
import { concat, equal, toHex, type Bytes } from "../../src/bytes.ts";
import {
  compareScannable,
  decodeOneTimePreKey,
  decodePreKeySignalMessage,
  decodeSessionRecord,
  decodeSessionRecordWhole,
  decodeSignalMessage,
  decodeSignedPreKey,
  encodeOneTimePreKey,
  encodeSessionRecord,
  encodeSessionRecordWhole,
  encodeSignedPreKey,
  EMPTY_SESSION_RECORD,
  generateOneTimePreKeys,
  safetyNumber,
} from "../../src/protocol/index.ts";
import { seededRandom, testSeed, type SeededRandom } from "../support/random.ts";
import { acquainted, codeOf, crypto, numbered, pair, type Received } from "./parties.ts";

const ROUNDS = 20_000;
/** Codes a decoder may answer with. */
const TYPED = /^ERR_(DECODE|VERSION|STORE_CORRUPT)$/;

/** One to four changes of one of the samples; the first byte is mostly left alone, as it is soon refused. */
function mutate(random: SeededRandom, samples: readonly Uint8Array[]): Bytes {
  let bytes: Bytes = random.pick(samples).slice();
  for (let changes = 1 + random.int(4); changes > 0; changes--) {
    const first = random.chance(0.03) ? 0 : Math.min(1, bytes.length);
    const at = first + random.int(bytes.length - first + 1);
    const end = Math.min(bytes.length, at + 1 + random.int(random.chance(0.8) ? 4 : 200));
    switch (random.int(7)) {
      case 0:
        if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.int(8));
        break;
      case 1:
        if (at < bytes.length) bytes[at] = random.pick([0, 1, 0x7f, 0x80, 0xff]);
        break;
      case 2:
        bytes = concat(bytes.subarray(0, at), random.bytes(1 + random.int(8)), bytes.subarray(at));
        break;
      case 3:
        bytes = concat(bytes.subarray(0, at), bytes.subarray(end));
        break;
      case 4:
        bytes = concat(bytes.subarray(0, end), bytes.subarray(at));
        break;
      case 5:
        bytes = bytes.slice(0, at);
        break;
      default: {
        const other = random.pick(samples);
        bytes = concat(bytes.subarray(0, at), other.subarray(Math.min(at, other.length)));
      }
    }
  }
  return bytes;
}

const setup = seededRandom(testSeed("fuzz samples"));
const [alice, bob] = pair(setup);
const firstMessages = [
  alice.encrypt(numbered(1)).message,
  alice.encrypt(new Uint8Array(300)).message,
  pair(setup, false)[0].encrypt(numbered(2)).message,
];
const [carol, dave] = acquainted(setup);
const plainMessages = Array.from({ length: 3 }, (_, i) => carol.encrypt(numbered(i * 50)).message);
const oneTime = generateOneTimePreKeys(crypto, setup.bytes, 1, 2).map(encodeOneTimePreKey);
const scannable = safetyNumber(crypto, {
  localKey: alice.local.identityKeyPair.publicKey,
  localId: numbered(1),
  remoteKey: bob.local.identityKeyPair.publicKey,
  remoteId: numbered(2),
  iterations: 2,
}).scannable;

/** A record with everything in it: archived sessions, skipped keys in two pages, a pending prekey. */
const rich = ((): typeof dave.record => {
  const [a, b] = acquainted(setup);
  for (let i = 0; i < 150; i++) a.encrypt(numbered(i));
  b.decrypt(a.encrypt(numbered(0)));
  b.initiate(a);
  b.initiate(a, false);
  return b.record;
})();
const { main, write } = encodeSessionRecord(rich, EMPTY_SESSION_RECORD);

const decoders: [name: string, samples: readonly Uint8Array[], decode: (bytes: Uint8Array, random: SeededRandom) => unknown][] = [
  ["SignalMessage", plainMessages, decodeSignalMessage],
  ["PreKeySignalMessage", firstMessages, decodePreKeySignalMessage],
  ["signed prekey", [bob.signed, alice.signed].map(encodeSignedPreKey), decodeSignedPreKey],
  ["one-time prekey", oneTime, decodeOneTimePreKey],
  ["scannable safety number", [scannable], (bytes) => compareScannable(crypto, scannable, bytes)],
  [
    "session record, main part",
    [main, encodeSessionRecord(alice.record, EMPTY_SESSION_RECORD).main, encodeSessionRecord(dave.record, EMPTY_SESSION_RECORD).main],
    (bytes) => encodeSessionRecordWhole(decodeSessionRecord(bytes, { parts: (names) => names.map((name) => write.get(name)) })),
  ],
  [
    "session record, other parts",
    [...write.values()],
    (bytes, random) => {
      const target = random.pick([...write.keys()]);
      const record = decodeSessionRecord(main, { parts: (names) => names.map((name) => (name === target ? bytes : write.get(name))) });
      return encodeSessionRecordWhole(record);
    },
  ],
  [
    "session record, whole",
    [encodeSessionRecordWhole(rich), encodeSessionRecordWhole(alice.record)],
    (bytes) => {
      const again = encodeSessionRecordWhole(decodeSessionRecordWhole(bytes));
      // What is read is what is written, whatever was read.
      expect(toHex(encodeSessionRecordWhole(decodeSessionRecordWhole(again)))).toBe(toHex(again));
    },
  ],
];

describe(`${String(ROUNDS)} mutations of each kind of bytes end in a value or a typed error`, () => {
  test.each(decoders)("%s", (name, samples, decode) => {
    const random = seededRandom(testSeed(`fuzz ${name}`));
    let past = 0;
    let accepted = 0;
    const codes = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = mutate(random, samples);
      const before = toHex(bytes);
      const code = codeOf(() => decode(bytes, random));
      if (toHex(bytes) !== before) throw new Error(`the input was written to: ${before}`);
      if (code !== undefined && !TYPED.test(code)) throw new Error(`${code} for ${before}`);
      if (code === undefined) accepted++;
      else codes.set(code, (codes.get(code) ?? 0) + 1);
      if (bytes.length > 1 && code !== "ERR_VERSION") past++;
    }
    console.info(`fuzz ${name}: ${String(past)} of ${String(ROUNDS)} past the first byte, ${String(accepted)} accepted, ${JSON.stringify([...codes])}`);
    expect(past / ROUNDS).toBeGreaterThan(0.3);
    expect(accepted).toBeLessThan(ROUNDS);
  }, 120_000);
});

test("2,000 mutated messages leave the record as it was, or open as what was sent", () => {
  const random = seededRandom(testSeed("fuzz decrypt"));
  const originals = [firstMessages[0], plainMessages[2]].map((message) => message ?? new Uint8Array());
  let opened = 0;
  for (let round = 0; round < 2_000; round++) {
    const which = random.int(2);
    const device = which === 0 ? bob : dave;
    const original = originals[which] ?? new Uint8Array();
    const received: Received = { kind: which === 0 ? "preKey" : "signal", message: mutate(random, [original]) };
    if (equal(received.message, original)) continue;
    const record = device.record;
    const before = device.snapshot();
    const oneTimeKeys = new Map(device.oneTime);
    let plaintext: string | undefined;
    // A step's limit, so that a mutated counter costs nothing.
    const code = codeOf(() => {
      try {
        plaintext = toHex(device.decrypt(received, { maxSteps: 200 }));
      } catch (error) {
        if (!(error instanceof Error) || error.name !== "ChainGapError") throw error;
      }
    });
    if (code !== undefined) expect(code).toMatch(/^ERR_(DECODE|VERSION|DECRYPT|NO_PREKEY|DUPLICATE)$/);
    if (plaintext !== undefined) {
      // Only around a first message is there anything to change: a plain message is authenticated from end to end.
      expect([which, plaintext]).toEqual([0, toHex(numbered(1))]);
      opened++;
      device.record = record;
      device.seen.clear();
      for (const [id, keyPair] of oneTimeKeys) device.oneTime.set(id, keyPair);
    }
    expect(device.record).toBe(record);
    if (plaintext === undefined) expect(device.snapshot()).toBe(before);
  }
  expect(opened).toBeLessThan(1_000);
}, 120_000);
