/** Exporting and restoring an account under a passphrase (docs/protocol.md, account file). The key derivation is loaded when it is needed. */
import { utf8, wipe, type Bytes } from "../bytes.ts";
import type { Crypto } from "../crypto/types.ts";
import { decodeAccountFileHeader, encodeAccountFile, openAccountFile, type KdfParameters } from "../envelope/accountFile.ts";
import { MiyuError } from "../errors.ts";
import type { UserId } from "../transport/types.ts";
import { decodeOwnList, getOwnList, type Beginning } from "./account.ts";
import type { Context } from "./context.ts";
import { RECORDS } from "./naming.ts";

/** Cost of a fresh file: 3 passes over 64 MiB. */
const COST = { t: 3, mKiB: 64 * 1024, p: 1 } as const;

/** The own account as a file. @throws {MiyuError} ERR_USAGE for an empty passphrase */
export async function exportAccount(context: Context, passphrase: string): Promise<Bytes> {
  const { account, crypto, random, store } = context;
  const { signed } = await store.transact([RECORDS.ownList], getOwnList);
  const kdf: KdfParameters = { ...COST, salt: random(16) };
  const key = await passphraseKey(passphrase, kdf);
  try {
    return encodeAccountFile(crypto, random, key, kdf, {
      user: account.user,
      accountPrivateKey: account.accountKeyPair.privateKey,
      deviceList: decodeOwnList(crypto, account, signed),
    });
  } finally {
    wipe(key);
  }
}

/** Opens a file for `user`. @throws {MiyuError} ERR_PASSPHRASE, ERR_DECODE, ERR_VERSION, ERR_TOO_LARGE, ERR_USAGE (another user's file) */
export async function readAccountFile(crypto: Crypto, user: UserId, file: Uint8Array, passphrase: string): Promise<Beginning> {
  const { kdf } = decodeAccountFileHeader(file);
  const key = await passphraseKey(passphrase, kdf);
  try {
    const opened = openAccountFile(crypto, key, file);
    if (opened.user !== user) {
      wipe(opened.accountPrivateKey);
      throw new MiyuError("ERR_USAGE", { reason: "the file belongs to another user" });
    }
    return { accountPrivateKey: opened.accountPrivateKey, list: opened.deviceList };
  } finally {
    wipe(key);
  }
}

async function passphraseKey(passphrase: string, kdf: KdfParameters): Promise<Bytes> {
  if (typeof passphrase !== "string" || passphrase === "") throw new MiyuError("ERR_USAGE", { reason: "the passphrase must not be empty" });
  const { argon2id } = await import("../crypto/argon2.ts");
  // The same text typed on another keyboard may arrive composed differently.
  const bytes = utf8(passphrase.normalize("NFC"));
  try {
    return await argon2id(bytes, kdf.salt, kdf);
  } finally {
    wipe(bytes);
  }
}

