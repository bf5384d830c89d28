/**
 * The device key slot of a directory: 32 random bytes in a file readable by its owner only, wrapping the vault key with AES-256-GCM.
 * It keeps a copied `records/` from being read without the file beside it, and no more than that.
 * The file is also a witness: it is called `device.key.new` until a vault was opened with it, and `device.key` from then on. So where
 * there is a `device.key` there was a vault, and a new one is refused. Only the process that holds LevelDB's lock gets here.
 *
 * Wrapped form: nonce 12 | ciphertext 32 | tag 16.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { concat, utf8, wipe, type Bytes } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import type { KeySlot } from "./types.ts";

const FILE = "device.key";
const UNUSED_FILE = "device.key.new";
const KEY_LENGTH = 32;
const NONCE_LENGTH = 12;
const TAG_LENGTH = 16;
const WRAPPED_LENGTH = NONCE_LENGTH + KEY_LENGTH + TAG_LENGTH;
const CIPHER = "aes-256-gcm";
const CONTEXT = utf8("miyu/vault/slot/v1\0");

/** The slot of `directory`; one per open directory, as its calls run one after another. */
export function fileKeySlot(directory: string): KeySlot {
  const used = join(directory, FILE);
  const unused = join(directory, UNUSED_FILE);
  let last: Promise<unknown> = Promise.resolve();

  /** Two vaults made at once would otherwise each write a file. */
  function inTurn<T>(call: () => Promise<T>): Promise<T> {
    const result = last.then(call, call);
    last = result;
    return result;
  }

  async function wrap(key: Uint8Array): Promise<Bytes> {
    if ((await readKey(used)) !== undefined) throw new MiyuError("ERR_STORE_LOST", { what: "vault header" });
    let deviceKey = await readKey(unused);
    if (deviceKey?.length !== KEY_LENGTH) {
      // None yet, or one that a crash cut short: nothing was wrapped under it.
      deviceKey = new Uint8Array(randomBytes(KEY_LENGTH));
      await writeKey(unused, deviceKey);
      await syncDirectory(directory);
    }
    try {
      return encrypt(deviceKey, key);
    } finally {
      wipe(deviceKey);
    }
  }

  async function unwrap(wrapped: Uint8Array): Promise<Bytes> {
    const known = await readKey(used);
    const deviceKey = known ?? (await readKey(unused));
    if (deviceKey === undefined) throw new MiyuError("ERR_STORE_LOST", { what: "device key" });
    let key: Bytes;
    try {
      key = decrypt(deviceKey, wrapped);
    } finally {
      wipe(deviceKey);
    }
    if (known === undefined) {
      await rename(unused, used);
      await syncDirectory(directory);
    }
    return key;
  }

  return {
    protection: "key-file",
    wrap: (key) => inTurn(() => wrap(key)),
    unwrap: (wrapped) => inTurn(() => unwrap(wrapped)),
  };
}

function encrypt(deviceKey: Bytes, key: Uint8Array): Bytes {
  const nonce = randomBytes(NONCE_LENGTH);
  const cipher = createCipheriv(CIPHER, deviceKey, nonce).setAAD(CONTEXT);
  return concat(nonce, cipher.update(key), cipher.final(), cipher.getAuthTag());
}

function decrypt(deviceKey: Bytes, wrapped: Uint8Array): Bytes {
  if (deviceKey.length !== KEY_LENGTH || wrapped.length !== WRAPPED_LENGTH) throw corrupt();
  const decipher = createDecipheriv(CIPHER, deviceKey, wrapped.subarray(0, NONCE_LENGTH)).setAAD(CONTEXT);
  decipher.setAuthTag(wrapped.subarray(NONCE_LENGTH + KEY_LENGTH));
  const plaintext = decipher.update(wrapped.subarray(NONCE_LENGTH, NONCE_LENGTH + KEY_LENGTH));
  try {
    decipher.final();
    return new Uint8Array(plaintext);
  } catch {
    throw corrupt();
  } finally {
    wipe(plaintext);
  }
}

async function readKey(path: string): Promise<Bytes | undefined> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

async function writeKey(path: string, key: Uint8Array): Promise<void> {
  const file = await open(path, "w", 0o600);
  try {
    await file.chmod(0o600);
    await file.writeFile(key);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(directory: string): Promise<void> {
  // Windows cannot sync a directory, and does not need to.
  if (process.platform === "win32") return;
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function corrupt(): MiyuError<"ERR_STORE_CORRUPT"> {
  return new MiyuError("ERR_STORE_CORRUPT", { what: "device key" });
}
