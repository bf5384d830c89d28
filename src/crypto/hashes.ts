/**
 * SHA-2, HMAC-SHA-256 (RFC 2104) and HKDF-SHA-256 (RFC 5869) without WebAssembly, on the hashes of `@noble/hashes`.
 * Every message takes about a dozen HMACs over short inputs, where setting up hash states costs more than hashing; so the states
 * of HMAC live here and are used again. All of it is synchronous: no two calls are ever under way at once. A state that held a key
 * is overwritten before a call returns.
 */
import { sha256 as sha256Of, sha512 as sha512Of } from "@noble/hashes/sha2.js";
import { wipe, type Bytes } from "../bytes.ts";

const BLOCK_LENGTH = 64;
const HASH_LENGTH = 32;
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;
const NO_SALT = new Uint8Array(HASH_LENGTH);

type HashState = ReturnType<typeof sha256Of.create>;

/** The states of one key after its two pads. */
interface Keyed {
  readonly inner: HashState;
  readonly outer: HashState;
}

const fresh = sha256Of.create();
const running: Keyed = { inner: sha256Of.create(), outer: sha256Of.create() };
const derivation: Keyed = { inner: sha256Of.create(), outer: sha256Of.create() };
const pad = new Uint8Array(BLOCK_LENGTH);
// The hash is fed in halves because it makes a view of every whole block it is given, and keeps one of its own.
const padHead = pad.subarray(0, BLOCK_LENGTH / 2);
const padTail = pad.subarray(BLOCK_LENGTH / 2);
const counter = new Uint8Array(1);

/** SHA-256, 32 bytes. */
export function sha256(message: Uint8Array): Bytes {
  return sha256Of(message);
}

/** SHA-512, 64 bytes. */
export function sha512(message: Uint8Array): Bytes {
  return sha512Of(message);
}

/** HMAC-SHA-256, 32 bytes, of a key of any length. */
export function hmacSha256(key: Uint8Array, message: Uint8Array): Bytes {
  setKey(running, key);
  running.inner.update(message);
  return finish();
}

/** HKDF-SHA-256. `salt` undefined = 32 zero bytes; `length` at most 8,160 bytes, which the caller has checked. */
export function hkdfSha256(secret: Uint8Array, salt: Uint8Array | undefined, info: Uint8Array, length: number): Bytes {
  const pseudorandomKey = hmacSha256(salt ?? NO_SALT, secret);
  setKey(derivation, pseudorandomKey);
  wipe(pseudorandomKey);
  const out = new Uint8Array(length);
  let block: Bytes | undefined;
  for (let offset = 0; offset < length; offset += HASH_LENGTH) {
    derivation.inner._cloneInto(running.inner);
    derivation.outer._cloneInto(running.outer);
    if (block) running.inner.update(block);
    counter[0] = offset / HASH_LENGTH + 1;
    running.inner.update(info).update(counter);
    wipe(block);
    block = finish();
    out.set(block.length > length - offset ? block.subarray(0, length - offset) : block, offset);
  }
  wipe(block);
  derivation.inner.destroy();
  derivation.outer.destroy();
  return out;
}

function setKey({ inner, outer }: Keyed, key: Uint8Array): void {
  if (key.length > BLOCK_LENGTH) {
    const hashed = sha256(key);
    pad.set(hashed);
    wipe(hashed);
  } else pad.set(key);
  for (let i = 0; i < BLOCK_LENGTH; i++) pad[i] = (pad[i] ?? 0) ^ INNER_PAD;
  fresh._cloneInto(inner).update(padHead).update(padTail);
  for (let i = 0; i < BLOCK_LENGTH; i++) pad[i] = (pad[i] ?? 0) ^ (INNER_PAD ^ OUTER_PAD);
  fresh._cloneInto(outer).update(padHead).update(padTail);
  wipe(pad);
}

/** Ends the running HMAC; both states are destroyed by it. */
function finish(): Bytes {
  const hashed = running.inner.digest();
  const out = running.outer.update(hashed).digest();
  wipe(hashed);
  return out;
}
