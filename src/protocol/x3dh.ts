/**
 * The X3DH key agreement (X3DH §3.3, §3.4), both sides, in the order and with the labels of message version 3:
 * HKDF(0xFF×32 ‖ DH1 ‖ DH2 ‖ DH3 [‖ DH4], salt none, "WhisperText", 64) = root key ‖ chain key.
 * Identities enter the MAC of every message, not this derivation.
 */
import { concat, utf8, type Bytes } from "../bytes.ts";
import type { Crypto } from "../crypto/types.ts";
import { splitKeys, type RootStep, type StepSecrets } from "./doubleRatchet.ts";
import { agree, rawPublicKey } from "./keys.ts";
import type { KeyPair } from "./types.ts";

const LABEL = utf8("WhisperText");
/** Keeps the secret apart from one that begins with an X25519 output (X3DH §2.2). */
const PREFIX = new Uint8Array(32).fill(0xff);

/** What the initiator needs. Public keys are serialized, 33 bytes. */
export interface InitiatorKeys {
  readonly identityKeyPair: KeyPair;
  readonly baseKeyPair: KeyPair;
  readonly remoteIdentityKey: Uint8Array;
  readonly remoteSignedPreKey: Uint8Array;
  readonly remoteOneTimePreKey: Uint8Array | undefined;
}

/** What the responder needs. Public keys are serialized, 33 bytes. */
export interface ResponderKeys {
  readonly identityKeyPair: KeyPair;
  readonly signedPreKeyPair: KeyPair;
  readonly oneTimePreKeyPair: KeyPair | undefined;
  readonly remoteIdentityKey: Uint8Array;
  readonly remoteBaseKey: Uint8Array;
}

/** DH(IKa, SPKb), DH(EKa, IKb), DH(EKa, SPKb), [DH(EKa, OPKb)]. @throws {MiyuError} ERR_DECRYPT if one of them is all zero */
export function initiatorSecrets(crypto: Crypto, secrets: StepSecrets, keys: InitiatorKeys): RootStep {
  const base = keys.baseKeyPair.privateKey;
  const dh = (privateKey: Uint8Array, publicKey: Uint8Array): Bytes => secrets.passing(agree(crypto, privateKey, publicKey));
  const agreements = [
    dh(keys.identityKeyPair.privateKey, keys.remoteSignedPreKey),
    dh(base, keys.remoteIdentityKey),
    dh(base, keys.remoteSignedPreKey),
  ];
  if (keys.remoteOneTimePreKey) agreements.push(dh(base, keys.remoteOneTimePreKey));
  return derive(crypto, secrets, agreements);
}

/**
 * DH(SPKb, IKa), DH(IKb, EKa), DH(SPKb, EKa), [DH(OPKb, EKa)], after the base key was found canonical and of prime order.
 * @throws {MiyuError} ERR_DECRYPT
 */
export function responderSecrets(crypto: Crypto, secrets: StepSecrets, keys: ResponderKeys): RootStep {
  // Before any private key is used: else one session had several base keys, and replays would not be found by it.
  crypto.checkBaseKey(rawPublicKey(keys.remoteBaseKey));
  const dh = (privateKey: Uint8Array, publicKey: Uint8Array): Bytes => secrets.passing(agree(crypto, privateKey, publicKey));
  const agreements = [
    dh(keys.signedPreKeyPair.privateKey, keys.remoteIdentityKey),
    dh(keys.identityKeyPair.privateKey, keys.remoteBaseKey),
    dh(keys.signedPreKeyPair.privateKey, keys.remoteBaseKey),
  ];
  if (keys.oneTimePreKeyPair) agreements.push(dh(keys.oneTimePreKeyPair.privateKey, keys.remoteBaseKey));
  return derive(crypto, secrets, agreements);
}

function derive(crypto: Crypto, secrets: StepSecrets, agreements: readonly Uint8Array[]): RootStep {
  const secret = secrets.passing(concat(PREFIX, ...agreements));
  return splitKeys(secrets, crypto.hkdfSha256(secret, undefined, LABEL, 64));
}
