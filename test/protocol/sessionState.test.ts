import { expect, test } from "vitest";
import { concat, toHex, utf8, type Bytes } from "../../src/bytes.ts";
import { decryptSignalMessage, encryptMessage, type SessionRecord, type SessionState } from "../../src/protocol/index.ts";
import { ProtobufReader } from "../../src/protocol/codec.ts";
import { keyPairFromPrivate } from "../../src/protocol/keys.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { crypto, fromHex, NOW, wireVectors } from "./parties.ts";

const vectors = wireVectors<{
  identity_private_bob: string;
  vectors: { name: string; record: string; plaintext_utf8: string; lib_message: string; mac_key: string; session_after: string }[];
}>("lib_encrypt_from_crafted_record_without_spqr");
const found = vectors.vectors.find(({ name }) => name === "whisper v3");
if (!found) throw new Error("no version-3 vector");
const vector = found;

/** Fields of a stored message by number: byte strings and numbers. */
function fields(bytes: Uint8Array, numbers: readonly number[]): Map<number, Bytes | number> {
  const reader = new ProtobufReader(bytes, "vector");
  const out = new Map<number, Bytes | number>();
  while (reader.next()) out.set(reader.field, numbers.includes(reader.field) ? reader.u32() : new Uint8Array(reader.bytes()));
  return out;
}

const bytesOf = (map: Map<number, Bytes | number>, field: number): Bytes => {
  const value = map.get(field);
  if (!(value instanceof Uint8Array)) throw new Error(`no bytes in field ${String(field)}`);
  return value;
};
const numberOf = (map: Map<number, Bytes | number>, field: number): number => Number(map.get(field) ?? 0);

/** The session another implementation stored, as far as sending needs it. */
function stored(hex: string): SessionState {
  const session = fields(bytesOf(fields(fromHex(hex), []), 1), [1, 5, 10, 11]);
  const sender = fields(bytesOf(session, 6), []);
  const chain = fields(bytesOf(sender, 3), [1]);
  expect(numberOf(session, 1)).toBe(3);
  return {
    version: 3,
    localIdentityKey: bytesOf(session, 2),
    remoteIdentityKey: bytesOf(session, 3),
    rootKey: bytesOf(session, 4),
    previousCounter: numberOf(session, 5),
    senderChain: {
      ratchetKeyPair: { publicKey: bytesOf(sender, 1), privateKey: bytesOf(sender, 2) },
      chainKey: bytesOf(chain, 2),
      index: numberOf(chain, 1),
    },
    receiverChains: [],
    remoteRegistrationId: numberOf(session, 10),
    localRegistrationId: numberOf(session, 11),
    baseKey: bytesOf(session, 13),
  };
}

const sending = stored(vector.record);
const theirs = fromHex(vector.lib_message);

test("wire vector: encrypts a version-3 session as another implementation did, but for the version byte and what it is in", () => {
  const step = encryptMessage(crypto, { current: sending, previous: [] }, utf8(vector.plaintext_utf8), NOW);
  expect(step.output.kind).toBe("signal");
  const ours = step.output.message;
  expect([ours[0], theirs[0]]).toEqual([0x33, 0x34]);
  expect(toHex(ours.subarray(1, -8))).toBe(toHex(theirs.subarray(1, -8)));
  const mac = (first: number): string => {
    const signed = concat(Uint8Array.of(first), ours.subarray(1, -8));
    return toHex(crypto.hmacSha256(fromHex(vector.mac_key), concat(sending.localIdentityKey, sending.remoteIdentityKey, signed)).subarray(0, 8));
  };
  expect([mac(0x33), mac(0x34)]).toEqual([toHex(ours.subarray(-8)), toHex(theirs.subarray(-8))]);
  const after = stored(vector.session_after);
  expect(step.state.current).toEqual(after);
});

test("wire vector: opens that message, with its 0x34", () => {
  const random = seededRandom(testSeed("session state"));
  const { ratchetKeyPair, chainKey, index } = sending.senderChain;
  const own = keyPairFromPrivate(crypto, fromHex(vectors.identity_private_bob));
  expect(own.publicKey).toEqual(sending.remoteIdentityKey);
  const receiving: SessionState = {
    ...sending,
    localIdentityKey: sending.remoteIdentityKey,
    remoteIdentityKey: sending.localIdentityKey,
    receiverChains: [{ ratchetKey: ratchetKeyPair.publicKey, chainKey, index, skipped: [] }],
  };
  const record: SessionRecord = { current: receiving, previous: [] };
  expect(decryptSignalMessage(crypto, random.bytes, record, theirs).output.plaintext).toEqual(utf8(vector.plaintext_utf8));
});
