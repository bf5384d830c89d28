/**
 * The device key slot of a browser: a non-extractable AES-GCM `CryptoKey` kept in the same database as the records. Code in the page
 * can use it but not export it; the disk is not encrypted by it (browsers write the key's bytes into the profile).
 * Where a `CryptoKey` cannot be made or kept (no secure context, some private modes), the vault key itself is kept in a record.
 * All WebCrypto runs before and after transactions, never inside.
 *
 * Wrapped form: 01 | nonce 12 | ciphertext ‖ tag 48 (crypto key), or 02 | ticket 16 (key record).
 */
import { get, promisifyRequest, type UseStore } from "idb-keyval";
import { concat, copy, toHex, utf8, type Bytes } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import type { KeySlot, Protection } from "./types.ts";

const CRYPTO_KEY = 1;
const KEY_RECORD = 2;
const NONCE_LENGTH = 12;
const WRAPPED_LENGTH = 1 + NONCE_LENGTH + 48;

/** A slot in the database of `use`, under names that begin with `ownName`. */
export function browserKeySlot(use: UseStore, ownName: string): KeySlot {
  const keyName = `${ownName}device-key`;
  const recordName = (ticket: Uint8Array): string => `${ownName}key-${toHex(ticket)}`;
  let protection: Protection = "crypto-key";

  return {
    get protection() {
      return protection;
    },

    async wrap(key) {
      const deviceKey = await keepDeviceKey(use, keyName);
      const wrapped = deviceKey && (await encrypt(deviceKey, key));
      if (wrapped !== undefined) {
        protection = "crypto-key";
        return wrapped;
      }
      const ticket = globalThis.crypto.getRandomValues(new Uint8Array(16));
      await use("readwrite", (store) => promisifyRequest(store.put(copy(key), recordName(ticket))));
      protection = "key-record";
      return concat(Uint8Array.of(KEY_RECORD), ticket);
    },

    async unwrap(wrapped) {
      if (wrapped[0] === KEY_RECORD && wrapped.length === 17) {
        const key: unknown = await get(recordName(wrapped.subarray(1)), use);
        if (key === undefined) throw lost();
        if (!(key instanceof Uint8Array) || key.length !== 32) throw corrupt();
        protection = "key-record";
        return copy(key);
      }
      if (wrapped[0] !== CRYPTO_KEY || wrapped.length !== WRAPPED_LENGTH) throw corrupt();
      const deviceKey: unknown = await get(keyName, use);
      if (deviceKey === undefined) throw lost();
      if (!isCryptoKey(deviceKey)) throw corrupt();
      protection = "crypto-key";
      return decrypt(deviceKey, wrapped);
    },
  };
}

/** The device key of this database, made if there is none; undefined if this browser cannot keep one. Two tabs get the same. */
async function keepDeviceKey(use: UseStore, name: string): Promise<CryptoKey | undefined> {
  const existing: unknown = await get(name, use);
  if (existing !== undefined) return isCryptoKey(existing) ? existing : undefined;
  const fresh = await generateStorableKey();
  if (fresh === undefined) return undefined;
  try {
    await use("readwrite", async (store) => {
      if ((await promisifyRequest<unknown>(store.get(name))) === undefined) store.put(fresh, name);
    });
  } catch (error) {
    // Out of space or unavailable is no reason to fall back; refusing to store this kind of value is.
    if (MiyuError.is(error) && isCloneRefusal(error.cause)) return undefined;
    throw error;
  }
  // What was written is not always what comes back: only a key read from the database counts.
  const kept: unknown = await get(name, use);
  return isCryptoKey(kept) ? kept : undefined;
}

async function generateStorableKey(): Promise<CryptoKey | undefined> {
  try {
    const key = await globalThis.crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
    structuredClone(key);
    return key;
  } catch {
    return undefined;
  }
}

/** The wrapped key; undefined if the key that came back from the database does not work. */
async function encrypt(deviceKey: CryptoKey, key: Uint8Array): Promise<Bytes | undefined> {
  const nonce = globalThis.crypto.getRandomValues(new Uint8Array(NONCE_LENGTH));
  try {
    const sealed = await globalThis.crypto.subtle.encrypt(algorithm(nonce), deviceKey, copy(key));
    return concat(Uint8Array.of(CRYPTO_KEY), nonce, new Uint8Array(sealed));
  } catch {
    return undefined;
  }
}

async function decrypt(deviceKey: CryptoKey, wrapped: Uint8Array): Promise<Bytes> {
  const nonce = copy(wrapped.subarray(1, 1 + NONCE_LENGTH));
  try {
    return new Uint8Array(await globalThis.crypto.subtle.decrypt(algorithm(nonce), deviceKey, copy(wrapped.subarray(1 + NONCE_LENGTH))));
  } catch {
    throw corrupt();
  }
}

function algorithm(nonce: Bytes): AesGcmParams {
  return { name: "AES-GCM", iv: nonce, additionalData: utf8("miyu/vault/slot/v1\0") };
}

function isCryptoKey(value: unknown): value is CryptoKey {
  return typeof CryptoKey !== "undefined" && value instanceof CryptoKey;
}

function isCloneRefusal(error: unknown): boolean {
  return error instanceof Error && ["DataCloneError", "DataError", "NotSupportedError"].includes(error.name);
}

function lost(): MiyuError<"ERR_STORE_LOST"> {
  return new MiyuError("ERR_STORE_LOST", { what: "device key" });
}

function corrupt(): MiyuError<"ERR_STORE_CORRUPT"> {
  return new MiyuError("ERR_STORE_CORRUPT", { what: "device key" });
}
