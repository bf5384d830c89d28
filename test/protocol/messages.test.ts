import protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import { concat, toHex, utf8 } from "../../src/bytes.ts";
import { encodeProtobuf, type ProtobufField } from "../../src/protocol/codec.ts";
import {
  decodePreKeySignalMessage,
  decodeSignalMessage,
  encodePreKeySignalMessage,
  encodeSignalMessage,
  verifyMac,
} from "../../src/protocol/messages.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { codeOf, crypto } from "./parties.ts";

const random = seededRandom(testSeed("messages"));
const key = (): Uint8Array => concat(Uint8Array.of(5), random.bytes(32));
const parties = { sender: key(), receiver: key() };
const macKey = random.bytes(32);
const content = { version: 3, ratchetKey: key(), counter: 0, previousCounter: 0, ciphertext: random.bytes(48) };
const message = encodeSignalMessage(crypto, content, macKey, parties);
const outer = { version: 3, registrationId: 0, oneTimePreKeyId: 7, signedPreKeyId: 0, baseKey: key(), identityKey: key(), message };

/** A SignalMessage of any fields, with a MAC of zeros. */
const signal = (fields: readonly ProtobufField[], version = 0x33): Uint8Array =>
  concat(Uint8Array.of(version), encodeProtobuf(fields), new Uint8Array(8));
const preKey = (fields: readonly ProtobufField[], version = 0x33): Uint8Array => concat(Uint8Array.of(version), encodeProtobuf(fields));

const SIGNAL_FIELDS: readonly ProtobufField[] = [[1, content.ratchetKey], [2, 3], [3, 2], [4, content.ciphertext]];
const PRE_KEY_FIELDS: readonly ProtobufField[] = [[1, 7], [2, outer.baseKey], [3, outer.identityKey], [4, message], [5, 9], [6, 11]];

describe("SignalMessage", () => {
  const schema = protobuf.parse(
    `syntax = "proto2"; message M { required bytes ratchetKey = 1; required uint32 counter = 2; required uint32 previousCounter = 3; required bytes ciphertext = 4; }`,
  ).root.lookupType("M");

  test("is version byte 0x33, every field in order even when 0, and 8 bytes of MAC", () => {
    const body = schema.encode({ ratchetKey: content.ratchetKey, counter: 0, previousCounter: 0, ciphertext: content.ciphertext }).finish();
    const signed = concat(Uint8Array.of(0x33), body);
    const mac = crypto.hmacSha256(macKey, concat(parties.sender, parties.receiver, signed)).subarray(0, 8);
    expect(toHex(message)).toBe(toHex(concat(signed, mac)));
  });

  test("comes back", () => {
    const { version, ratchetKey, counter, previousCounter, ciphertext } = decodeSignalMessage(message);
    expect({ version, ratchetKey, counter, previousCounter, ciphertext }).toEqual(content);
  });

  test("the MAC binds the key, both parties and their order, and the bytes as received", () => {
    const parsed = decodeSignalMessage(message);
    expect(codeOf(() => { verifyMac(crypto, parsed, macKey, parties); })).toBeUndefined();
    const wrong = [
      { macKey: random.bytes(32), parties },
      { macKey, parties: { sender: parties.receiver, receiver: parties.sender } },
      { macKey, parties: { ...parties, receiver: key() } },
    ];
    for (const each of wrong) expect(codeOf(() => { verifyMac(crypto, parsed, each.macKey, each.parties); })).toBe("ERR_DECRYPT");
    const lowNibble = message.slice();
    lowNibble[0] = 0x34;
    expect(codeOf(() => { verifyMac(crypto, decodeSignalMessage(lowNibble), macKey, parties); })).toBe("ERR_DECRYPT");
  });

  test("the reader owns its bytes, so a caller's change after parsing does not pass the MAC by", () => {
    const mutable = message.slice();
    const parsed = decodeSignalMessage(mutable);
    mutable.fill(0);
    expect(codeOf(() => { verifyMac(crypto, parsed, macKey, parties); })).toBeUndefined();
  });

  test("reads any order, any low nibble, unknown fields, and a missing previous counter", () => {
    const shuffled = [...random.shuffle(SIGNAL_FIELDS.filter(([n]) => n !== 3)), [6, utf8("later")] as const];
    for (const nibble of [0x30, 0x34, 0x3f, 0x44]) {
      const parsed = decodeSignalMessage(signal(shuffled, nibble));
      expect([parsed.version, parsed.counter, parsed.previousCounter]).toEqual([nibble >>> 4, 3, 0]);
    }
  });

  test.each([1, 2, 4])("requires field %s", (missing) => {
    expect(codeOf(() => decodeSignalMessage(signal(SIGNAL_FIELDS.filter(([n]) => n !== missing))))).toBe("ERR_DECODE");
  });

  test.each([0x03, 0x23, 0x53, 0xf3])("refuses version byte %s", (version) => {
    expect(codeOf(() => decodeSignalMessage(signal(SIGNAL_FIELDS, version)))).toBe("ERR_VERSION");
  });

  test("refuses every truncation to less than a message", () => {
    for (let length = 0; length < 9; length++) expect(codeOf(() => decodeSignalMessage(message.subarray(0, length)))).toBe("ERR_DECODE");
  });

  test("refuses a ratchet key of another type or length", () => {
    for (const bad of [key().subarray(1), concat(Uint8Array.of(8), random.bytes(32)), new Uint8Array()]) {
      expect(codeOf(() => decodeSignalMessage(signal([[1, bad], ...SIGNAL_FIELDS.slice(1)])))).toBe("ERR_DECODE");
    }
  });
});

describe("PreKeySignalMessage", () => {
  const schema = protobuf.parse(
    `syntax = "proto2"; message M { optional uint32 oneTimePreKeyId = 1; required bytes baseKey = 2; required bytes identityKey = 3;
     required bytes message = 4; required uint32 registrationId = 5; required uint32 signedPreKeyId = 6; }`,
  ).root.lookupType("M");

  test.each([7, 0, undefined])("is version byte 0x33 and the fields in order, with one-time id %s", (oneTimePreKeyId) => {
    const fields = { ...outer, oneTimePreKeyId };
    const wire = encodePreKeySignalMessage({ ...outer, oneTimePreKeyId });
    expect(toHex(wire)).toBe(toHex(concat(Uint8Array.of(0x33), schema.encode(fields).finish())));
    const parsed = decodePreKeySignalMessage(wire);
    expect(parsed.oneTimePreKeyId).toBe(oneTimePreKeyId);
    expect("oneTimePreKeyId" in parsed).toBe(oneTimePreKeyId !== undefined);
    expect([parsed.version, parsed.registrationId, parsed.signedPreKeyId]).toEqual([3, 0, 0]);
    expect([parsed.baseKey, parsed.identityKey]).toEqual([outer.baseKey, outer.identityKey]);
    expect(codeOf(() => { verifyMac(crypto, parsed.message, macKey, parties); })).toBeUndefined();
  });

  test("reads any order and a missing registration id", () => {
    const parsed = decodePreKeySignalMessage(preKey(random.shuffle(PRE_KEY_FIELDS.filter(([n]) => n !== 5)), 0x34));
    expect([parsed.version, parsed.oneTimePreKeyId, parsed.registrationId, parsed.signedPreKeyId]).toEqual([3, 7, 0, 11]);
  });

  test.each([2, 3, 4, 6])("requires field %s", (missing) => {
    expect(codeOf(() => decodePreKeySignalMessage(preKey(PRE_KEY_FIELDS.filter(([n]) => n !== missing))))).toBe("ERR_DECODE");
  });

  test.each([0x03, 0x23, 0x53, 0xf3])("refuses version byte %s", (version) => {
    expect(codeOf(() => decodePreKeySignalMessage(preKey(PRE_KEY_FIELDS, version)))).toBe("ERR_VERSION");
  });

  test("refuses nothing at all, and an inner message that does not parse", () => {
    expect(codeOf(() => decodePreKeySignalMessage(new Uint8Array()))).toBe("ERR_DECODE");
    expect(codeOf(() => decodePreKeySignalMessage(preKey([...PRE_KEY_FIELDS, [4, message.subarray(0, 8)]])))).toBe("ERR_DECODE");
    expect(codeOf(() => decodePreKeySignalMessage(preKey([...PRE_KEY_FIELDS, [4, signal(SIGNAL_FIELDS, 0x23)]])))).toBe("ERR_VERSION");
  });
});
