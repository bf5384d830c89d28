/**
 * Signatures that only a lax verifier takes, and that lax verifier: plain Edwards arithmetic over `@noble/curves`, written for the
 * tests beside the code under test. XEdDSA in both cases: public keys are Montgomery u, the sign bit travels in the signature.
 */
import { ed25519 } from "@noble/curves/ed25519.js";
import { bytesToNumberLE, numberToBytesLE } from "@noble/curves/utils.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { concat, copy, equal, type Bytes } from "../../src/bytes.ts";

const { Point } = ed25519;
const { Fp, Fn } = Point;

/** The order of the base point. */
const ORDER = Fn.ORDER;

/** The same signature with s + L in place of s. */
export function addOrder(signature: Uint8Array): Bytes {
  const out = copy(signature);
  const sign = out[63]! & 0x80;
  out[63]! &= 0x7f;
  out.set(numberToBytesLE(bytesToNumberLE(out.subarray(32)) + ORDER, 32), 32);
  out[63]! |= sign;
  return out;
}

/** The Edwards form of a Montgomery u (32 bytes) with the given sign. */
function edwardsOf(u: Uint8Array, sign: number): Bytes {
  const value = Fp.create(bytesToNumberLE(u) & ((1n << 255n) - 1n));
  const y = Fp.mul(Fp.create(value - 1n), Fp.inv(Fp.create(value + 1n)));
  const out = copy(numberToBytesLE(y, 32));
  out[31]! |= sign << 7;
  return out;
}

function challenge(r: Uint8Array, a: Uint8Array, message: Uint8Array): bigint {
  return bytesToNumberLE(sha512(concat(r, a, message))) % ORDER;
}

/** The rule of the Signal family: R = compress(s·B − h·A), s below 2²⁵³ only, nothing said about small orders. */
export function laxVerify(u: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const plain = copy(signature);
  const sign = plain[63]! >>> 7;
  plain[63]! &= 0x7f;
  if ((plain[63]! & 0xe0) !== 0) return false;
  const encoded = edwardsOf(u, sign);
  const a = Point.fromBytes(encoded, true);
  const s = bytesToNumberLE(plain.subarray(32)) % ORDER;
  const r = plain.subarray(0, 32);
  return equal(Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(challenge(r, encoded, message))).toBytes(), r);
}

/** A signature with R the neutral element, by the holder of the key: s = h·a. */
export function signWithNeutralR(privateKey: Uint8Array, message: Uint8Array): Bytes {
  const a = bytesToNumberLE(privateKey) % ORDER;
  const encoded = Point.BASE.multiply(a).toBytes();
  const r = Point.ZERO.toBytes();
  const out = concat(r, numberToBytesLE((challenge(r, encoded, message) * a) % ORDER, 32));
  out[63]! |= encoded[31]! & 0x80;
  return out;
}

/** A signature under the public key u = 0, whose point has order 2, by nobody: s is chosen until h is even, so that h·A vanishes. */
export function signUnderOrderTwo(message: Uint8Array): { readonly publicKey: Bytes; readonly signature: Bytes } {
  const publicKey = new Uint8Array(32);
  const encoded = edwardsOf(publicKey, 0);
  for (let s = 1n; ; s++) {
    const r = Point.BASE.multiply(s).toBytes();
    if (challenge(r, encoded, message) % 2n === 0n) return { publicKey, signature: concat(r, numberToBytesLE(s, 32)) };
  }
}
