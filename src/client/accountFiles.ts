/**
 * Exporting and restoring an account under a passphrase (docs/protocol.md, account file). The client loads this file when it is asked for
 * one of both, and the key derivation with it.
 */
import { copy, utf8, wipe, type Bytes } from "../bytes.ts";
import type { Crypto } from "../crypto/types.ts";
import { decodeAccountFileHeader, encodeAccountFile, openAccountFile, type KdfParameters } from "../envelope/accountFile.ts";
import { decodeDirectoryRecord } from "../envelope/bundle.ts";
import { decodeDeviceList, type DeviceList } from "../envelope/deviceList.ts";
import { MiyuError } from "../errors.ts";
import type { Directory, UserId } from "../transport/types.ts";
import { getOwnList, type Beginning, type OwnAccount } from "./account.ts";
import type { Context } from "./context.ts";
import { RECORDS } from "./naming.ts";
import type { ClientOptions } from "./types.ts";

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

/**
 * The account of an exported file, going on from the newest list the directory has of it.
 * @throws {MiyuError} ERR_PASSPHRASE, ERR_DECODE, ERR_VERSION, ERR_TOO_LARGE, ERR_SIGNATURE, ERR_USAGE (another user's file), and the directory's
 */
export async function readBeginning(crypto: Crypto, user: UserId, restore: NonNullable<ClientOptions["restore"]>, directory: Directory | undefined): Promise<Beginning> {
  const beginning = await readAccountFile(crypto, user, restore.file, restore.passphrase);
  try {
    const published = await directory?.read(user);
    if (published === undefined) return beginning;
    const list = decodeDeviceList(crypto, decodeDirectoryRecord(published.record).deviceList);
    const newer = list.user === user && crypto.equal(list.accountKey, beginning.list.accountKey) && list.epoch > beginning.list.epoch;
    return newer ? { ...beginning, list } : beginning;
  } catch (error) {
    wipe(beginning.accountPrivateKey);
    throw error;
  }
}

async function readAccountFile(crypto: Crypto, user: UserId, file: Uint8Array, passphrase: string): Promise<Beginning> {
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

/** Decodes and checks a list that should be the own account's. @throws {MiyuError} ERR_DEVICE_LIST if another account signed it */
function decodeOwnList(crypto: Crypto, account: OwnAccount, signed: Uint8Array): DeviceList {
  const list = decodeDeviceList(crypto, copy(signed));
  if (!crypto.equal(list.accountKey, account.accountKeyPair.publicKey)) throw new MiyuError("ERR_DEVICE_LIST", { user: account.user, rule: "account" });
  return list;
}
