/** Argon2id (RFC 9106) for passphrases. Slow on purpose; yields to the event loop while it runs. */
import { argon2idAsync } from "@noble/hashes/argon2.js";
import type { Bytes } from "../bytes.ts";

/** A 32-byte key of `passphrase`. @param mKiB - memory in KiB @param t - passes @param p - lanes */
export async function argon2id(passphrase: Uint8Array, salt: Uint8Array, { t, mKiB, p }: { readonly t: number; readonly mKiB: number; readonly p: number }): Promise<Bytes> {
  return new Uint8Array(await argon2idAsync(passphrase, salt, { t, m: mKiB, p, dkLen: 32, version: 0x13 }));
}
