/**
 * Curve25519 without WebAssembly, and the arithmetic every provider borrows: X25519, scalars modulo L, the map from
 * Montgomery to Edwards form, and one strict Ed25519 verification. The only file that imports `@noble/curves`.
 *
 * Secret scalars pass through BigInt here, which has no constant-time promise (docs/crypto.md).
 */
import { edwards } from "@noble/curves/abstract/edwards.js";
import { pow } from "@noble/curves/abstract/modular.js";
import { montgomery } from "@noble/curves/abstract/montgomery.js";
import { bytesToNumberLE, numberToBytesLE } from "@noble/curves/utils.js";
import { concat, copy, equal, type Bytes } from "../bytes.ts";

const PRIME = 2n ** 255n - 19n;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

// Put together from noble's generic curves: its ready-made ones bring hash-to-curve, threshold signatures and more, at twice the size.
/** Edwards25519 (RFC 7748 §4.1, RFC 8032 §5.1). */
const Point = edwards({
  p: PRIME,
  n: ORDER,
  h: 8n,
  a: PRIME - 1n,
  d: 37095705934669439343138083508754565189542113879843219016388785533085940283555n,
  Gx: 15112221349535400772501151409588531511454012693041857206046113283949847762202n,
  Gy: 46316835694926478169428394003475163141307993866256225615783033603165251855960n,
});
const { Fp } = Point;

/** Curve25519 (RFC 7748 §4.1). A public key is computed on the Edwards curve, whose base point has a table: u = (Z + Y)/(Z − Y). */
const x25519 = montgomery({
  P: PRIME,
  type: "x25519",
  powPminus2: inverse,
  adjustScalarBytes: clamp,
  scalarMultBase(scalar) {
    const { Y, Z } = Point.BASE.multiply(scalar % ORDER);
    return Fp.mul(Fp.add(Z, Y), inverse(Fp.sub(Z, Y)));
  },
});

/** x^(p − 2): always the same number of steps, unlike Euclid's algorithm. */
function inverse(x: bigint): bigint {
  return pow(x, PRIME - 2n, PRIME);
}

/** Clamps a private key in place (RFC 7748 §5). noble hands in a copy. */
function clamp(scalar: Uint8Array): Uint8Array {
  scalar[0] = (scalar[0] ?? 0) & 248;
  scalar[31] = ((scalar[31] ?? 0) & 127) | 64;
  return scalar;
}

/** X25519 public key, 32 bytes, of a 32-byte private key. */
export function x25519PublicKey(privateKey: Uint8Array): Bytes {
  return x25519.getPublicKey(privateKey);
}

/** X25519 of two 32-byte keys; undefined where the result would be all zero. */
export function x25519SharedSecret(privateKey: Uint8Array, publicKey: Uint8Array): Bytes | undefined {
  try {
    return x25519.getSharedSecret(privateKey, publicKey);
  } catch {
    return undefined;
  }
}

/** A little-endian integer of any length modulo L, 32 bytes. */
export function reduceScalar(wide: Uint8Array): Bytes {
  return numberToBytesLE(bytesToNumberLE(wide) % ORDER, 32);
}

/** (a·b + c) mod L of 32-byte scalars, 32 bytes. */
export function multiplyAddScalars(a: Uint8Array, b: Uint8Array, c: Uint8Array): Bytes {
  return numberToBytesLE((bytesToNumberLE(a) * bytesToNumberLE(b) + bytesToNumberLE(c)) % ORDER, 32);
}

/** compress(k·B), 32 bytes, of a scalar 0 < k < L. */
export function multiplyBase(scalar: Uint8Array): Bytes {
  return copy(Point.BASE.multiply(bytesToNumberLE(scalar)).toBytes());
}

/** Whether 32 bytes are a canonical Montgomery u: top bit clear and u < p. */
export function isCanonicalMontgomery(u: Uint8Array): boolean {
  return bytesToNumberLE(u) < PRIME;
}

/**
 * The Edwards point of a Montgomery u (32 bytes, top bit masked, reduced modulo p) with the given sign of x, compressed
 * to 32 bytes: y = (u − 1)/(u + 1) (XEdDSA §2.3). Undefined for u = −1. That y lies on the curve is not checked here.
 */
export function montgomeryToEdwards(u: Uint8Array, sign: number): Bytes | undefined {
  const masked = bytesToNumberLE(u) & ((1n << 255n) - 1n);
  const denominator = Fp.create(masked + 1n);
  if (Fp.is0(denominator)) return undefined;
  const out = numberToBytesLE(Fp.mul(Fp.create(masked - 1n + PRIME), Fp.inv(denominator)), 32);
  out[31] = (out[31] ?? 0) | (sign << 7);
  return out;
}

/** Whether a compressed Edwards point (32 bytes) decodes and lies in the prime-order subgroup. */
export function isInPrimeSubgroup(compressed: Uint8Array): boolean {
  try {
    const point = Point.fromBytes(compressed);
    return !point.is0() && point.isTorsionFree();
  } catch {
    return false;
  }
}

/**
 * Ed25519 verification under the one rule of both providers: s < L, A and R canonical and not of small order, and R equal
 * byte for byte to compress(s·B − h·A) with h = SHA-512(R ‖ A ‖ M) mod L. No cofactor. Works on public values only.
 */
export function verifyEd25519Strict(
  sha512: (message: Uint8Array) => Uint8Array,
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  const claimed = signature.subarray(0, 32);
  const s = bytesToNumberLE(signature.subarray(32));
  if (s >= ORDER) return false;
  try {
    const a = Point.fromBytes(publicKey);
    if (a.isSmallOrder()) return false;
    const h = bytesToNumberLE(sha512(concat(claimed, publicKey, message))) % ORDER;
    const r = Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(h));
    // compress() is canonical, so equality also refuses every non-canonical R.
    return !r.isSmallOrder() && equal(r.toBytes(), claimed);
  } catch {
    return false;
  }
}
