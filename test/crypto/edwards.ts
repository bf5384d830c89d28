/**
 * Points for tests that providers must refuse, and Ed25519 keys in Montgomery form. Written on affine coordinates and
 * apart from src, so that a mistake there is not repeated here.
 */
import { ed25519, ED25519_TORSION_SUBGROUP } from "@noble/curves/ed25519.js";
import { concat, copy, type Bytes } from "../../src/bytes.ts";
import { fromHex } from "./vectors.ts";

const { Point } = ed25519;
const { Fp } = Point;

/** p = 2²⁵⁵ − 19. */
export const P = Fp.ORDER;
/** Order of the prime subgroup. */
export const L = Point.Fn.ORDER;

/** 32 bytes, little-endian. */
export function le32(value: bigint): Bytes {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

/** The integer of little-endian bytes. */
export function fromLe(bytes: Uint8Array): bigint {
  return bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
}

/** u = (1 + y)/(1 − y) of a compressed point, 32 bytes; undefined for y = 1, the point at infinity. */
export function montgomeryOf(compressed: Uint8Array): Bytes | undefined {
  const y = Fp.create(fromLe(compressed) & ((1n << 255n) - 1n));
  return y === 1n ? undefined : le32(Fp.div(Fp.add(1n, y), Fp.sub(1n, y)));
}

/** Compressed `scalar`·B plus the `torsion`-th point (0 … 7) of the small-order subgroup; 0 adds nothing. */
export function mixedPoint(scalar: bigint, torsion: number): Bytes {
  const t = ED25519_TORSION_SUBGROUP.map((hex) => Point.fromHex(hex)).sort((a, b) => Number(b.is0()) - Number(a.is0()))[torsion];
  if (t === undefined) throw new Error("torsion is 0 to 7");
  return copy(Point.BASE.multiplyUnsafe(scalar).add(t).toBytes());
}

/** Whether a Montgomery u lies on the curve rather than on its twist: u³ + 486662u² + u is a square. */
export function isOnCurve(u: bigint): boolean {
  const right = Fp.create(u * u * u + 486662n * u * u + u);
  return Fp.is0(right) || Fp.pow(right, (P - 1n) / 2n) === 1n;
}

/** R ‖ (r + h·a mod L): the Ed25519 signature equation with any A and R put in. */
export function equationSignature(sha512: (m: Uint8Array) => Uint8Array, a: bigint, A: Bytes, r: bigint, R: Bytes, message: Bytes): Bytes {
  const h = fromLe(sha512(concat(R, A, message))) % L;
  return concat(R, le32((r + h * a) % L));
}

/** An Ed25519 key and signature as an X25519 public key and an XEdDSA signature; undefined where the key has no such form. */
export function asXeddsa(key: Uint8Array, signature: Uint8Array): { publicKey: Bytes; signature: Bytes } | undefined {
  const publicKey = montgomeryOf(key);
  const carried = copy(signature);
  carried[63] = ((carried[63] ?? 0) & 0x7f) | ((key[31] ?? 0) & 0x80);
  return publicKey && { publicKey, signature: carried };
}

/** All eight small-order points, their Montgomery u (seven finite ones, some equal) as 32 bytes. */
export function smallOrderKeys(): readonly Bytes[] {
  return ED25519_TORSION_SUBGROUP.map((hex) => montgomeryOf(fromHex(hex))).filter((u) => u !== undefined);
}
