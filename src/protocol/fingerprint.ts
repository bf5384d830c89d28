/**
 * Safety numbers: what two people compare to know that nobody stands between them (docs/interop.md).
 * Each party is hashed alone, so both see the same 60 digits whichever side they are on.
 */
import { concat, type Bytes } from "../bytes.ts";
import type { Crypto } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import { encodeProtobuf, ProtobufReader } from "./codec.ts";

/** Hash iterations the Signal family uses. */
export const FINGERPRINT_ITERATIONS = 5_200;

/** Scannable format in use since identifiers are not telephone numbers. */
const SCANNABLE_VERSION = 2;

const MAX_ITERATIONS = 1_000_000;
const HALF_LENGTH = 32;
const WHAT = "scannable safety number";

/** Both parties of a safety number. */
export interface SafetyNumberParties {
  /** Our serialized identity key, 33 bytes. */
  readonly localKey: Uint8Array;
  /** Our stable identifier, as bytes both sides know. */
  readonly localId: Uint8Array;
  /** Their serialized identity key, 33 bytes. */
  readonly remoteKey: Uint8Array;
  /** Their stable identifier. */
  readonly remoteId: Uint8Array;
  /** 2 … 1,000,000; default 5,200. */
  readonly iterations?: number;
  /** Version number in the scannable form, 0 … 2³²−1; default 2. It does not change the hash. */
  readonly version?: number;
}

/** A safety number in both its forms. */
export interface SafetyNumber {
  /** 60 digits without spaces; the same on both sides. */
  readonly digits: string;
  /** For a QR code: ours and theirs; each side's differs. 74 bytes. */
  readonly scannable: Bytes;
}

/** Computes the safety number: 2 × 5,200 SHA-512 with the default iterations. @throws {MiyuError} ERR_USAGE for iterations out of range */
export function safetyNumber(crypto: Crypto, parties: SafetyNumberParties): SafetyNumber {
  const { iterations = FINGERPRINT_ITERATIONS, version = SCANNABLE_VERSION } = parties;
  if (!Number.isInteger(iterations) || iterations < 2 || iterations > MAX_ITERATIONS) {
    throw new MiyuError("ERR_USAGE", { reason: "iterations are 2 to 1,000,000" });
  }
  const local = partyHash(crypto, parties.localKey, parties.localId, iterations);
  const remote = partyHash(crypto, parties.remoteKey, parties.remoteId, iterations);
  const [first, second] = [partyDigits(local), partyDigits(remote)].sort();
  const half = (hash: Uint8Array): Bytes => encodeProtobuf([[1, hash.subarray(0, HALF_LENGTH)]]);
  const scannable = encodeProtobuf([[1, version], [2, half(local)], [3, half(remote)]]);
  return { digits: `${first ?? ""}${second ?? ""}`, scannable };
}

/**
 * Whether what was scanned from their screen belongs to our safety number: their own half is our remote one, and the reverse.
 * The one question of this library that answers with a boolean: "no" is an answer to show, not a failure.
 * @param ours - our `scannable`
 * @param theirs - the bytes that were scanned
 * @throws {MiyuError} ERR_DECODE if either does not parse, ERR_VERSION if the versions differ
 */
export function compareScannable(crypto: Crypto, ours: Uint8Array, theirs: Uint8Array): boolean {
  const own = parseScannable(ours);
  const scanned = parseScannable(theirs);
  if (own.version === undefined) throw new MiyuError("ERR_DECODE", { what: WHAT });
  if (own.version !== (scanned.version ?? 0)) throw new MiyuError("ERR_VERSION", { what: WHAT, version: scanned.version ?? 0 });
  if (!own.local || !own.remote || !scanned.local || !scanned.remote) throw new MiyuError("ERR_DECODE", { what: WHAT });
  const theirLocal = crypto.equal(scanned.local, own.remote);
  const theirRemote = crypto.equal(scanned.remote, own.local);
  return theirLocal && theirRemote;
}

interface Scannable {
  readonly version: number | undefined;
  readonly local: Uint8Array | undefined;
  readonly remote: Uint8Array | undefined;
}

function parseScannable(bytes: Uint8Array): Scannable {
  const reader = new ProtobufReader(bytes, WHAT);
  let version: number | undefined;
  let local: Uint8Array | undefined;
  let remote: Uint8Array | undefined;
  while (reader.next()) {
    if (reader.field === 1) version = reader.u32();
    else if (reader.field === 2) local = parseHalf(reader.bytes()) ?? local;
    else if (reader.field === 3) remote = parseHalf(reader.bytes()) ?? remote;
    else reader.skip();
  }
  return { version, local, remote };
}

function parseHalf(bytes: Uint8Array): Uint8Array | undefined {
  const reader = new ProtobufReader(bytes, WHAT);
  let content: Uint8Array | undefined;
  while (reader.next()) {
    if (reader.field === 1) content = reader.bytes();
    else reader.skip();
  }
  return content;
}

/** h₁ = SHA-512(0x0000 ‖ key ‖ id ‖ key), hₙ₊₁ = SHA-512(hₙ ‖ key). */
function partyHash(crypto: Crypto, key: Uint8Array, id: Uint8Array, iterations: number): Bytes {
  let hash = crypto.sha512(concat(new Uint8Array(2), key, id, key));
  const input = new Uint8Array(hash.length + key.length);
  input.set(key, hash.length);
  for (let i = 1; i < iterations; i++) {
    input.set(hash);
    hash = crypto.sha512(input);
  }
  return hash;
}

/** 30 digits: six groups of 5 bytes, each modulo 100,000. */
function partyDigits(hash: Uint8Array): string {
  let digits = "";
  for (let at = 0; at < 30; at += 5) {
    let group = 0;
    for (let i = at; i < at + 5; i++) group = group * 256 + (hash[i] ?? 0);
    digits += String(group % 100_000).padStart(5, "0");
  }
  return digits;
}
