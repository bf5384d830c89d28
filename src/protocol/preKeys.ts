/**
 * Prekeys and bundles (X3DH §2.3, §3.2): what a device publishes so that others can start a session while it is away.
 * A bundle must be verified before anything is done with it; only `verifyPreKeyBundle` makes a {@link VerifiedPreKeyBundle}.
 */
import { concat, copy, Reader, u32be, u64be, type Bytes } from "../bytes.ts";
import type { Crypto, Random } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import { deserializePublicKey, generateKeyPair, PRIVATE_KEY_LENGTH, PUBLIC_KEY_LENGTH, rawPublicKey } from "./keys.ts";
import type { KeyPair } from "./types.ts";

const RECORD_VERSION = 1;
const SIGNATURE_LENGTH = 64;
const ONE_TIME_RECORD_LENGTH = 5 + PUBLIC_KEY_LENGTH + PRIVATE_KEY_LENGTH;
const SIGNED_RECORD_LENGTH = ONE_TIME_RECORD_LENGTH + 8 + SIGNATURE_LENGTH;

/** A medium-term prekey, signed by the identity key. Lives on its own device. */
export interface SignedPreKey {
  /** 0 … 2³²−1; keep it below 2²⁴ for peers of the Signal family. */
  readonly id: number;
  readonly keyPair: KeyPair;
  /** XEdDSA by the identity key over the serialized public key (33 bytes); 64 bytes. */
  readonly signature: Bytes;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/** A prekey that serves one session. Lives on its own device. */
export interface OneTimePreKey {
  /** 0 … 2³²−1; keep it below 2²⁴ for peers of the Signal family. */
  readonly id: number;
  readonly keyPair: KeyPair;
}

/** What a directory hands out about one device. Nothing in it is to be believed before it is verified. */
export interface PreKeyBundle {
  readonly registrationId: number;
  /** Serialized, 33 bytes. */
  readonly identityKey: Uint8Array;
  readonly signedPreKey: {
    readonly id: number;
    /** Serialized, 33 bytes. */
    readonly publicKey: Uint8Array;
    /** 64 bytes. */
    readonly signature: Uint8Array;
  };
  /** Unsigned, as X3DH has it. Absent if the directory has none left. */
  readonly oneTimePreKey?: {
    readonly id: number;
    /** Serialized, 33 bytes. */
    readonly publicKey: Uint8Array;
  };
}

const VERIFIED: unique symbol = Symbol("verified pre-key bundle");

/** A bundle whose signature held. It owns copies of its bytes. */
export interface VerifiedPreKeyBundle extends PreKeyBundle {
  readonly [VERIFIED]: true;
}

/** Makes a signed prekey. Takes 96 random bytes. @param now - milliseconds since 1970 */
export function generateSignedPreKey(crypto: Crypto, random: Random, identity: KeyPair, id: number, now: number): SignedPreKey {
  requireU32(id);
  const keyPair = generateKeyPair(crypto, random);
  const signature = crypto.xeddsaSign(identity.privateKey, keyPair.publicKey, random(64));
  return { id, keyPair, signature, createdAt: now };
}

/** Makes `count` one-time prekeys with the ids from `firstId` on. Takes 32 random bytes for each. */
export function generateOneTimePreKeys(crypto: Crypto, random: Random, firstId: number, count: number): OneTimePreKey[] {
  requireU32(firstId);
  requireU32(firstId + Math.max(count, 1) - 1);
  return Array.from({ length: count }, (_, i) => ({ id: firstId + i, keyPair: generateKeyPair(crypto, random) }));
}

/**
 * Checks the form of a bundle and its signature. That its identity key belongs to whom it should is for the caller to know.
 * @throws {MiyuError} ERR_DECODE for a malformed key or id, ERR_SIGNATURE
 */
export function verifyPreKeyBundle(crypto: Crypto, bundle: PreKeyBundle): VerifiedPreKeyBundle {
  const what = "pre-key bundle";
  const identityKey = deserializePublicKey(bundle.identityKey, what);
  const publicKey = deserializePublicKey(bundle.signedPreKey.publicKey, what);
  const signature = copy(bundle.signedPreKey.signature);
  const oneTime = bundle.oneTimePreKey;
  for (const id of [bundle.registrationId, bundle.signedPreKey.id, oneTime?.id ?? 0]) {
    if (!isU32(id)) throw new MiyuError("ERR_DECODE", { what });
  }
  const oneTimePreKey = oneTime && { id: oneTime.id, publicKey: deserializePublicKey(oneTime.publicKey, what) };
  crypto.xeddsaVerify(rawPublicKey(identityKey), publicKey, signature);
  return {
    [VERIFIED]: true,
    registrationId: bundle.registrationId,
    identityKey,
    signedPreKey: { id: bundle.signedPreKey.id, publicKey, signature },
    ...(oneTimePreKey && { oneTimePreKey }),
  };
}

/** Refuses a bundle that types alone did not keep out. @throws {MiyuError} ERR_USAGE */
export function requireVerified(bundle: VerifiedPreKeyBundle): void {
  if (!Object.hasOwn(bundle, VERIFIED)) throw new MiyuError("ERR_USAGE", { reason: "verify the pre-key bundle first" });
}

/** Bytes to store: version 1 ‖ id 4 ‖ created 8 ‖ signature 64 ‖ public 33 ‖ private 32, 142 in all. Secret. */
export function encodeSignedPreKey(preKey: SignedPreKey): Bytes {
  const { id, createdAt, keyPair, signature } = preKey;
  return concat(Uint8Array.of(RECORD_VERSION), u32be(id), u64be(createdAt), signature, keyPair.publicKey, keyPair.privateKey);
}

/** Opposite of {@link encodeSignedPreKey}; the result owns its bytes. @throws {MiyuError} ERR_DECODE, ERR_VERSION */
export function decodeSignedPreKey(bytes: Uint8Array): SignedPreKey {
  const reader = openRecord(bytes, "signed pre-key", SIGNED_RECORD_LENGTH);
  const id = reader.u32();
  const createdAt = reader.u64();
  const signature = reader.bytes(SIGNATURE_LENGTH);
  return { id, keyPair: readKeyPair(reader, "signed pre-key"), signature, createdAt };
}

/** Bytes to store: version 1 ‖ id 4 ‖ public 33 ‖ private 32, 70 in all. Secret. */
export function encodeOneTimePreKey(preKey: OneTimePreKey): Bytes {
  return concat(Uint8Array.of(RECORD_VERSION), u32be(preKey.id), preKey.keyPair.publicKey, preKey.keyPair.privateKey);
}

/** Opposite of {@link encodeOneTimePreKey}; the result owns its bytes. @throws {MiyuError} ERR_DECODE, ERR_VERSION */
export function decodeOneTimePreKey(bytes: Uint8Array): OneTimePreKey {
  const reader = openRecord(bytes, "one-time pre-key", ONE_TIME_RECORD_LENGTH);
  const id = reader.u32();
  return { id, keyPair: readKeyPair(reader, "one-time pre-key") };
}

/** Checks the length first, so that nothing can fail after a private key was copied. */
function openRecord(bytes: Uint8Array, what: string, length: number): Reader {
  const reader = new Reader(bytes, what);
  const version = reader.u8();
  if (version !== RECORD_VERSION) throw new MiyuError("ERR_VERSION", { what, version });
  if (bytes.length !== length) reader.fail();
  return reader;
}

function readKeyPair(reader: Reader, what: string): KeyPair {
  const publicKey = deserializePublicKey(reader.bytes(PUBLIC_KEY_LENGTH), what);
  return { publicKey, privateKey: reader.bytes(PRIVATE_KEY_LENGTH) };
}

function requireU32(id: number): void {
  if (!isU32(id)) throw new MiyuError("ERR_USAGE", { reason: "an id is an integer from 0 to 2^32 - 1" });
}

function isU32(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 0xffffffff;
}
