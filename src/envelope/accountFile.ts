/**
 * The exported account (docs/protocol.md §8): the account key and the last device list, sealed under a key the client derives
 * from a passphrase. No ratchet state, no prekey, no device id of the exporting device. The cost of that derivation is read from the file,
 * so its limits are checked before anything is derived; header and sealed part are authenticated together.
 */
import { checkSize, concat, equal, lp, Reader, wipe, type Bytes } from "../bytes.ts";
import type { Crypto, Random } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import { decodeDeviceList, type DeviceList } from "./deviceList.ts";
import { checkLength, encodeName, encodeU32, fixed, HASH_LENGTH, misuse, readName, serializeKey } from "./fields.ts";

/** Argon2id parameters (RFC 9106 §3.1). */
export interface KdfParameters {
  /** Passes, 1 … 10. */
  readonly t: number;
  /** Memory in KiB, 8 MiB … 1 GiB. */
  readonly mKiB: number;
  /** Lanes, 1 … 4. */
  readonly p: number;
  /** 16 bytes. */
  readonly salt: Bytes;
}

/** What an account file brings back. */
export interface Account {
  readonly user: string;
  /** 32 bytes. The caller wipes it. */
  readonly accountPrivateKey: Bytes;
  /** The list at the time of export: where epochs go on from. */
  readonly deviceList: DeviceList;
}

/** The readable part of an account file. */
export interface AccountFileHeader {
  readonly kdf: KdfParameters;
  /** 24 bytes. */
  readonly nonce: Bytes;
}

/** Most bytes of an account file. */
const MAX_ACCOUNT_FILE_LENGTH = 128 * 1024;

const MAGIC = Uint8Array.of(0x4d, 0x49, 0x59, 0x55);
const ACCOUNT_TYPE = 1;
const FILE_VERSION = 1;
const HEADER_LENGTH = 55;
const SALT_LENGTH = 16;
const NONCE_LENGTH = 24;

/**
 * Seals an account under `key` (32 bytes, derived from the passphrase with `kdf`; stays the caller's). Takes 24 bytes of `random`.
 * @throws {MiyuError} ERR_USAGE for parameters out of range, or a list that is not this user's and account's
 */
export function encodeAccountFile(crypto: Crypto, random: Random, key: Uint8Array, kdf: KdfParameters, account: Account): Bytes {
  const { user, accountPrivateKey, deviceList } = account;
  checkLength(key, HASH_LENGTH, "key");
  checkLength(accountPrivateKey, HASH_LENGTH, "accountPrivateKey");
  if (!withinLimits(kdf)) throw misuse("kdf parameters out of range");
  if (!belongs(crypto, user, accountPrivateKey, deviceList)) throw misuse("the device list is not this account's");
  const salt = fixed(kdf.salt, SALT_LENGTH, "salt");
  const cost = concat(encodeU32(kdf.t, "t"), encodeU32(kdf.mKiB, "mKiB"), Uint8Array.of(kdf.p), salt);
  const nonce = random(NONCE_LENGTH);
  const header = concat(MAGIC, Uint8Array.of(ACCOUNT_TYPE, FILE_VERSION), cost, nonce);
  const plain = concat(encodeName(user, "user"), accountPrivateKey, encodeU32(deviceList.epoch, "epoch"), deviceList.hash, lp(deviceList.signed));
  try {
    return concat(header, crypto.aeadSeal(key, nonce, header, plain));
  } finally {
    wipe(plain);
  }
}

/**
 * Reads what is needed to derive the key. Not authenticated until {@link openAccountFile} has passed, hence the limits.
 * @throws {MiyuError} ERR_TOO_LARGE, ERR_VERSION, ERR_DECODE (also parameters out of range)
 */
export function decodeAccountFileHeader(bytes: Uint8Array): AccountFileHeader {
  checkSize(bytes.length, MAX_ACCOUNT_FILE_LENGTH);
  const reader = new Reader(bytes, "account file");
  if (!equal(reader.bytes(MAGIC.length), MAGIC) || reader.u8() !== ACCOUNT_TYPE) reader.fail();
  reader.version(FILE_VERSION);
  const kdf: KdfParameters = { t: reader.u32(), mKiB: reader.u32(), p: reader.u8(), salt: reader.bytes(SALT_LENGTH) };
  if (!withinLimits(kdf)) reader.fail();
  return { kdf, nonce: reader.bytes(NONCE_LENGTH) };
}

/**
 * Opens an account file with the derived key (32 bytes; stays the caller's). The list in it is verified, and that it is this account's.
 * @throws {MiyuError} ERR_PASSPHRASE (wrong key or changed file), ERR_TOO_LARGE, ERR_VERSION, ERR_DECODE, ERR_SIGNATURE
 */
export function openAccountFile(crypto: Crypto, key: Uint8Array, bytes: Uint8Array): Account {
  checkLength(key, HASH_LENGTH, "key");
  const { nonce } = decodeAccountFileHeader(bytes);
  const plain = openSealed(crypto, key, nonce, bytes);
  let accountPrivateKey: Bytes | undefined;
  try {
    const reader = new Reader(plain, "account file");
    const user = readName(reader);
    accountPrivateKey = reader.bytes(HASH_LENGTH);
    const epoch = reader.u32();
    const hash = reader.bytes(HASH_LENGTH);
    const signed = reader.lp();
    reader.end();
    const deviceList = decodeDeviceList(crypto, signed);
    if (!belongs(crypto, user, accountPrivateKey, deviceList) || deviceList.epoch !== epoch || !equal(deviceList.hash, hash)) reader.fail();
    return { user, accountPrivateKey, deviceList };
  } catch (error) {
    wipe(accountPrivateKey);
    throw error;
  } finally {
    wipe(plain);
  }
}

function openSealed(crypto: Crypto, key: Uint8Array, nonce: Bytes, bytes: Uint8Array): Bytes {
  try {
    return crypto.aeadOpen(key, nonce, bytes.subarray(0, HEADER_LENGTH), bytes.subarray(HEADER_LENGTH));
  } catch {
    throw new MiyuError("ERR_PASSPHRASE");
  }
}

function withinLimits({ t, mKiB, p }: KdfParameters): boolean {
  const between = (value: number, low: number, high: number): boolean => Number.isInteger(value) && value >= low && value <= high;
  return between(t, 1, 10) && between(mKiB, 8 * 1024, 1024 * 1024) && between(p, 1, 4);
}

function belongs(crypto: Crypto, user: string, accountPrivateKey: Uint8Array, list: DeviceList): boolean {
  return list.user === user && equal(serializeKey(crypto.x25519PublicKey(accountPrivateKey)), list.accountKey);
}
