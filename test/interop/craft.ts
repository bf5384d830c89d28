/**
 * Messages no honest writer of ours makes, but with a MAC that holds: for asking a black box how it reads. Works on session states
 * and the primitives of the core, whose results the vectors check elsewhere.
 */
import { concat, type Bytes } from "../../src/bytes.ts";
import type { Crypto } from "../../src/crypto/types.ts";
import { messageKeys, messageSeed, nextChainKey, runStep } from "../../src/protocol/doubleRatchet.ts";
import type { SessionState } from "../../src/protocol/index.ts";
import { encodeProtobuf, type ProtobufField } from "../../src/protocol/codec.ts";
import type { WireMessage } from "./peers/party.ts";

/** How a crafted message differs from an ordinary one. */
export interface Craft {
  /** Version byte of the SignalMessage; default 0x33. */
  readonly innerVersion?: number;
  /** Version byte that goes into the MAC; default that of the SignalMessage. */
  readonly macVersion?: number;
  /** Version byte of the PreKeySignalMessage; default 0x33. */
  readonly outerVersion?: number;
  /** Changes the fields of the SignalMessage before they are written. */
  readonly innerFields?: (fields: readonly ProtobufField[]) => readonly ProtobufField[];
  /** Changes the fields of the PreKeySignalMessage before they are written. */
  readonly outerFields?: (fields: readonly ProtobufField[]) => readonly ProtobufField[];
  readonly plaintext?: Uint8Array;
}

/** The next message of `state`'s sending chain, or that at `counter`. */
export function craft(crypto: Crypto, state: SessionState, how: Craft = {}, counter = state.senderChain.index): WireMessage {
  const { innerVersion = 0x33, macVersion = innerVersion, outerVersion = 0x33, innerFields = same, outerFields = same, plaintext = new Uint8Array(3) } = how;
  const { senderChain, pendingPreKey } = state;
  let chainKey: Bytes = senderChain.chainKey;
  for (let index = senderChain.index; index < counter; index++) chainKey = nextChainKey(crypto, chainKey);
  const signal = runStep((secrets) => {
    const keys = messageKeys(crypto, secrets, messageSeed(crypto, chainKey));
    const ciphertext = crypto.aesCbcEncrypt(keys.cipherKey, keys.iv, plaintext);
    const fields = innerFields([[1, senderChain.ratchetKeyPair.publicKey], [2, counter], [3, state.previousCounter], [4, ciphertext]]);
    const body = encodeProtobuf(fields);
    const parties = concat(state.localIdentityKey, state.remoteIdentityKey);
    const mac = crypto.hmacSha256(keys.macKey, concat(parties, Uint8Array.of(macVersion), body)).subarray(0, 8);
    return concat(Uint8Array.of(innerVersion), body, mac);
  });
  if (!pendingPreKey) return { kind: "signal", bytes: signal };
  const fields = outerFields([
    [1, pendingPreKey.oneTimePreKeyId], [2, state.baseKey], [3, state.localIdentityKey], [4, signal], [5, state.localRegistrationId],
    [6, pendingPreKey.signedPreKeyId],
  ]);
  return { kind: "preKey", bytes: concat(Uint8Array.of(outerVersion), encodeProtobuf(fields)) };
}

/** An unknown field 9 of groups within groups, to be put behind a PreKeySignalMessage. */
export function unknownGroups(depth: number): Bytes {
  return concat(new Uint8Array(depth).fill((9 << 3) | 3), new Uint8Array(depth).fill((9 << 3) | 4));
}

function same(fields: readonly ProtobufField[]): readonly ProtobufField[] {
  return fields;
}
