/** Stored sessions of libsignal-client as its vectors have them, turned into records of ours: for answers that depend on a known state. */
import protobuf from "protobufjs";
import { expect } from "vitest";
import type { Bytes } from "../../src/bytes.ts";
import type { Crypto } from "../../src/crypto/types.ts";
import { decodeSessionRecordWhole, encodeSessionRecordWhole, keyPairFromPrivate, type SessionRecord, type SessionState } from "../../src/protocol/index.ts";
import { fromHex } from "../crypto/vectors.ts";

const { root: stored } = protobuf.parse(
  `syntax = "proto3";
   message Place { uint32 index = 1; bytes key = 2; }
   message Chain { bytes ratchetKey = 1; bytes ratchetPrivate = 2; Place place = 3; }
   message Session {
     uint32 version = 1; bytes localIdentity = 2; bytes remoteIdentity = 3; bytes rootKey = 4; uint32 previousCounter = 5;
     Chain sender = 6; repeated Chain receivers = 7; uint32 remoteRegistrationId = 10; uint32 localRegistrationId = 11; bytes baseKey = 13;
   }
   message Record { Session current = 1; }`,
  { keepCase: true },
);

interface StoredChain {
  readonly ratchetKey: Uint8Array;
  readonly ratchetPrivate: Uint8Array;
  readonly place: { readonly index: number; readonly key: Uint8Array };
}

interface StoredSession {
  readonly version: number;
  readonly localIdentity: Uint8Array;
  readonly remoteIdentity: Uint8Array;
  readonly rootKey: Uint8Array;
  readonly previousCounter: number;
  readonly sender: StoredChain;
  readonly baseKey: Uint8Array;
}

/**
 * A stored session as a record of ours, and what the receiver of its sending chain would hold. Both take the way through our own
 * stored form.
 */
export function partiesOf(crypto: Crypto, record: string): { readonly senderRecord: SessionRecord; readonly receiverRecord: SessionRecord } {
  const type = stored.lookupType("Record");
  const { current } = type.toObject(type.decode(fromHex(record)), { defaults: true }) as { current: StoredSession };
  expect(current.version).toBe(3);
  const own = (bytes: Uint8Array): Bytes => new Uint8Array(bytes);
  const { sender } = current;
  // Where the record leaves a field out, a key of our own stands in: nothing in these tests depends on it.
  const spare = keyPairFromPrivate(crypto, new Uint8Array(32).fill(7));
  const senderState: SessionState = {
    version: 3,
    localIdentityKey: own(current.localIdentity),
    remoteIdentityKey: own(current.remoteIdentity),
    rootKey: current.rootKey.length === 32 ? own(current.rootKey) : new Uint8Array(32),
    previousCounter: current.previousCounter,
    senderChain: {
      ratchetKeyPair: { publicKey: own(sender.ratchetKey), privateKey: own(sender.ratchetPrivate) },
      chainKey: own(sender.place.key),
      index: sender.place.index,
    },
    receiverChains: [],
    remoteRegistrationId: 1,
    localRegistrationId: 2,
    baseKey: current.baseKey.length === 33 ? own(current.baseKey) : spare.publicKey,
  };
  const receiverState: SessionState = {
    ...senderState,
    localIdentityKey: senderState.remoteIdentityKey,
    remoteIdentityKey: senderState.localIdentityKey,
    senderChain: { ratchetKeyPair: spare, chainKey: new Uint8Array(32), index: 0 },
    receiverChains: [{ ratchetKey: own(sender.ratchetKey), chainKey: own(sender.place.key), index: sender.place.index, skipped: [] }],
  };
  const [senderRecord, receiverRecord] = [senderState, receiverState].map((state) =>
    decodeSessionRecordWhole(encodeSessionRecordWhole({ current: state, previous: [] })),
  );
  return { senderRecord: senderRecord!, receiverRecord: receiverRecord! };
}
