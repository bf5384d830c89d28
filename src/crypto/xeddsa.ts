/**
 * XEdDSA as Signal uses it: signatures by an X25519 key pair, with the sign of the Edwards public key carried in the top
 * bit of the signature (docs/interop.md; the public XEdDSA text fixes that sign to 0 instead). Clearing the bit leaves a
 * plain Ed25519 signature, which is how it is verified. The curve arithmetic comes from the provider.
 */
import { concat, wipe, type Bytes } from "../bytes.ts";
import { montgomeryToEdwards } from "./curve25519.ts";

/** What a provider brings to sign and verify. Scalars are 32 bytes, little-endian. */
export interface EdwardsArithmetic {
  /** SHA-512, 64 bytes. */
  sha512(message: Uint8Array): Uint8Array;
  /** A 64-byte little-endian integer modulo L. */
  reduceScalar(wide: Uint8Array): Uint8Array;
  /** (a·b + c) mod L. */
  multiplyAddScalars(a: Uint8Array, b: Uint8Array, c: Uint8Array): Uint8Array;
  /** compress(k·B), 32 bytes; k is secret. */
  multiplyBase(scalar: Uint8Array): Uint8Array;
  /** Plain Ed25519: s < L, A and R canonical and not of small order, R = compress(s·B − h·A) byte for byte. */
  verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

/** 0xFE ‖ 0xFF × 31: keeps the nonce hash apart from every other use of the key. */
const NONCE_PREFIX = new Uint8Array(32).fill(0xff);
NONCE_PREFIX[0] = 0xfe;

/**
 * Signs with a 32-byte private key (clamped here) and 64 random bytes; returns 64 bytes. The public key is derived
 * inside: an interface that takes it would sign under two keys and give the private one away.
 */
export function xeddsaSign(curve: EdwardsArithmetic, privateKey: Uint8Array, message: Uint8Array, random: Uint8Array): Bytes {
  const secrets: Uint8Array[] = [];
  const secret = <T extends Uint8Array>(bytes: T): T => {
    secrets.push(bytes);
    return bytes;
  };
  try {
    const clamped = secret(new Uint8Array(64));
    clamped.set(privateKey);
    clamped[0] = (clamped[0] ?? 0) & 0xf8;
    clamped[31] = ((clamped[31] ?? 0) & 0x7f) | 0x40;
    const a = secret(curve.reduceScalar(clamped));
    const A = curve.multiplyBase(a);
    const nonceInput = secret(concat(NONCE_PREFIX, clamped.subarray(0, 32), message, random));
    const r = secret(curve.reduceScalar(secret(curve.sha512(nonceInput))));
    const R = curve.multiplyBase(r);
    const h = curve.reduceScalar(curve.sha512(concat(R, A, message)));
    const signature = concat(R, curve.multiplyAddScalars(h, a, r));
    signature[63] = ((signature[63] ?? 0) & 0x7f) | ((A[31] ?? 0) & 0x80);
    return signature;
  } finally {
    wipe(...secrets);
  }
}

/** Whether `signature` verifies under a 32-byte X25519 public key (top bit masked). False for a wrong length. */
export function xeddsaVerify(curve: EdwardsArithmetic, publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  const plain = new Uint8Array(signature);
  const last = plain[63] ?? 0;
  plain[63] = last & 0x7f;
  const edwards = montgomeryToEdwards(publicKey, last >>> 7);
  return edwards !== undefined && curve.verifyEd25519(edwards, message, plain);
}
