/** Our messages read by another protobuf implementation, with a schema written from docs/interop.md and not from our code. */
import { describe, expect, test } from "vitest";
import { concat, equal, toHex } from "../../src/bytes.ts";
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { decodePreKeySignalMessage, decodeSignalMessage, safetyNumber } from "../../src/protocol/index.ts";
import { encodePreKeySignalMessage, encodeSignalMessage } from "../../src/protocol/messages.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { miyu } from "./peers/miyu.ts";
import { fieldOrder, readPreKeySignal, readSignal, SCHEMA } from "./wireSchema.ts";

const random = seededRandom(testSeed("wire cross-check"));
const ours = miyu(nobleCrypto, random);

describe("messages of a session", () => {
  test.each([true, false])("one-time prekey %s: version, field order, values, and the same bytes from the other writer", async (oneTime) => {
    const [mina, mio] = [await ours.create("mina"), await ours.create("mio")];
    const bundle = await mio.publish(oneTime);
    await mina.start("mio", bundle);
    for (let counter = 0; counter < 3; counter++) {
      const { kind, bytes } = await mina.encrypt("mio", random.bytes(40));
      expect(kind).toBe("preKey");
      const outer = readPreKeySignal(bytes);
      expect(outer.versionByte).toBe(0x33);
      expect(fieldOrder(outer.body)).toEqual(oneTime ? [1, 2, 3, 4, 5, 6] : [2, 3, 4, 5, 6]);
      expect(outer).toMatchObject({
        oneTimePreKeyId: bundle.oneTimePreKey?.id,
        signedPreKeyId: bundle.signedPreKey.id,
        registrationId: mina.local.registrationId,
      });
      expect(toHex(outer.identityKey)).toBe(toHex(mina.identityKey));
      expect([outer.baseKey.length, outer.baseKey[0]]).toEqual([33, 5]);
      const inner = readSignal(outer.message);
      expect(inner.versionByte).toBe(0x33);
      expect(fieldOrder(inner.body)).toEqual([1, 2, 3, 4]);
      expect([inner.counter, inner.previousCounter, inner.ciphertext.length]).toEqual([counter, 0, 48]);
      expect([inner.ratchetKey.length, inner.ratchetKey[0], inner.mac.length]).toEqual([33, 5, 8]);
      expect(toHex(SCHEMA.preKeySignal.encode(outer).finish())).toBe(toHex(outer.body));
      expect(toHex(SCHEMA.signal.encode(inner).finish())).toBe(toHex(inner.body));
      await mio.decrypt("mina", { kind, bytes });
    }
    const answer = await mio.encrypt("mina", new Uint8Array(0));
    expect(answer.kind).toBe("signal");
    // An empty plaintext is one block of padding.
    expect(readSignal(answer.bytes)).toMatchObject({ versionByte: 0x33, counter: 0, previousCounter: 0 });
    expect(readSignal(answer.bytes).ciphertext.length).toBe(16);
  });
});

describe("random field values", () => {
  /** Values at the edges of a varint's lengths. */
  const u32 = (): number => random.pick([0, 1, 127, 128, 16_383, 16_384, 2 ** 21, 2 ** 28, 2 ** 31, 2 ** 32 - 1, random.u32()]);
  const key = (): Uint8Array<ArrayBuffer> => concat(Uint8Array.of(5), random.bytes(32));

  test("1,000 of each kind: written here, read there; written there, read here", () => {
    for (let i = 0; i < 1000; i++) {
      const content = { ratchetKey: key(), counter: u32(), previousCounter: u32(), ciphertext: random.bytes(16 * (1 + random.int(20))) };
      const parties = { sender: key(), receiver: key() };
      const macKey = random.bytes(32);
      const signal = encodeSignalMessage(nobleCrypto, { version: 3, ...content }, macKey, parties);
      const read = readSignal(signal);
      expect([read.counter, read.previousCounter]).toEqual([content.counter, content.previousCounter]);
      expect(equal(read.ratchetKey, content.ratchetKey) && equal(read.ciphertext, content.ciphertext)).toBe(true);
      const mac = nobleCrypto.hmacSha256(macKey, concat(parties.sender, parties.receiver, signal.subarray(0, -8))).subarray(0, 8);
      expect(toHex(read.mac)).toBe(toHex(mac));
      const signalThere = concat(Uint8Array.of(0x33), SCHEMA.signal.encode(content).finish(), mac);
      expect(toHex(signalThere)).toBe(toHex(signal));
      expect(decodeSignalMessage(signalThere)).toMatchObject({ version: 3, counter: content.counter, previousCounter: content.previousCounter });

      const oneTimePreKeyId = random.chance(0.5) ? u32() : undefined;
      const outer = { oneTimePreKeyId, baseKey: key(), identityKey: key(), message: signal, registrationId: u32(), signedPreKeyId: u32() };
      const preKey = encodePreKeySignalMessage({ version: 3, ...outer });
      const readOuter = readPreKeySignal(preKey);
      expect([readOuter.oneTimePreKeyId, readOuter.registrationId, readOuter.signedPreKeyId]).toEqual([oneTimePreKeyId, outer.registrationId, outer.signedPreKeyId]);
      for (const name of ["baseKey", "identityKey", "message"] as const) expect(equal(readOuter[name], outer[name])).toBe(true);
      expect(toHex(SCHEMA.preKeySignal.encode(outer).finish())).toBe(toHex(preKey.subarray(1)));
      const back = decodePreKeySignalMessage(preKey);
      expect([back.oneTimePreKeyId, back.registrationId, back.signedPreKeyId, toHex(back.baseKey), toHex(back.identityKey)]).toEqual([
        oneTimePreKeyId, outer.registrationId, outer.signedPreKeyId, toHex(outer.baseKey), toHex(outer.identityKey),
      ]);
    }
  });
});

test("the scannable safety number", () => {
  const parties = { localKey: random.bytes(33), localId: random.bytes(4), remoteKey: random.bytes(33), remoteId: random.bytes(4), iterations: 2 };
  for (const version of [0, 1, 2]) {
    const { scannable } = safetyNumber(nobleCrypto, { ...parties, version });
    expect([scannable.length, fieldOrder(scannable)]).toEqual([74, [1, 2, 3]]);
    const fields = SCHEMA.scannable.toObject(SCHEMA.scannable.decode(scannable)) as { version: number; local: { hash: Uint8Array }; remote: { hash: Uint8Array } };
    expect([fields.version, fields.local.hash.length, fields.remote.hash.length]).toEqual([version, 32, 32]);
  }
});
