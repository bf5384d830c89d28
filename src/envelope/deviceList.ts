/**
 * The device list (docs/protocol.md §5): which devices are this user's, signed by the account key. Each entry carries a proof by the
 * device's own key, so nobody lists a key he does not hold. What makes a newer list acceptable after an older one is in
 * {@link acceptDeviceList}; that a list is withheld no rule can see, which is why contents name the lists they were written under.
 */
import { checkSize, compare, concat, copy, Reader, u16be, type Bytes } from "../bytes.ts";
import type { Crypto, Random } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import {
  checkLength,
  encodeKey,
  encodeName,
  encodeU32,
  fixed,
  HASH_LENGTH,
  ID_LENGTH,
  misuse,
  readKey,
  readName,
  serializeKey,
  SIGNATURE_LENGTH,
} from "./fields.ts";
import { HASHED, hashWith, sign, verify } from "./signing.ts";

/** Bits of {@link DeviceEntry.suites}. Bits this release does not know are kept. */
export const SUITES = { x3dh: 1, pqxdh: 2 } as const;
/** Most devices of one list. */
export const MAX_DEVICES = 256;
/** Most removed ids of one list. */
export const MAX_REMOVED = 1024;

const LIST_VERSION = 1;
const ENTRY_LENGTH = 118;

/** One device of a list. */
export interface DeviceEntry {
  /** 16 bytes. */
  readonly device: Bytes;
  /** 33 bytes. */
  readonly identityKey: Bytes;
  /** {@link SUITES}, never 0. */
  readonly suites: number;
  /** Epoch in which it was added. */
  readonly since: number;
  /** 64 bytes, see {@link proveDevice}. */
  readonly proof: Bytes;
}

/** A list whose signature and proofs hold. */
export interface DeviceList {
  readonly user: string;
  /** 33 bytes. */
  readonly accountKey: Bytes;
  readonly epoch: number;
  /** Hash of the list before, 32 bytes; zeros in the first one. */
  readonly previousHash: Bytes;
  /** Ascending by device. */
  readonly devices: readonly DeviceEntry[];
  /** Ascending; never to be used again. */
  readonly removed: readonly Bytes[];
  /** SHA-256 over context and list without signature, 32 bytes. Signing the same list again does not change it. */
  readonly hash: Bytes;
  /** As it travels, signature included. */
  readonly signed: Bytes;
}

/** What {@link acceptDeviceList} must remember of a list accepted before. */
export interface AcceptedList extends Pick<DeviceList, "user" | "accountKey" | "epoch" | "hash" | "removed"> {
  readonly devices: readonly Pick<DeviceEntry, "device" | "identityKey">[];
}

/** What {@link proveDevice} needs. */
export interface DeviceProofOptions {
  readonly user: string;
  /** 33 bytes. */
  readonly accountKey: Uint8Array;
  /** 16 bytes. */
  readonly device: Uint8Array;
  /** 32 bytes; not kept. */
  readonly identityPrivateKey: Uint8Array;
}

/** What {@link signDeviceList} signs. Entries and removed ids may come in any order. */
export interface DeviceListOptions {
  readonly user: string;
  readonly epoch: number;
  readonly previousHash: Uint8Array;
  readonly devices: readonly DeviceEntry[];
  readonly removed: readonly Uint8Array[];
}

/** A device's statement that it belongs to this user and account, 64 bytes (XEdDSA by its identity key). @throws {MiyuError} ERR_USAGE */
export function proveDevice(crypto: Crypto, random: Random, options: DeviceProofOptions): Bytes {
  const parts = proofParts(options.user, encodeKey(options.accountKey, "accountKey"), fixed(options.device, ID_LENGTH, "device"));
  return sign(crypto, random, options.identityPrivateKey, "device proof", ...parts);
}

/**
 * Sorts and signs a list with the account private key (32 bytes, not kept). The account key in it is derived from that key.
 * The result is decoded again before it is returned, so a list others would refuse is never handed out.
 * @throws {MiyuError} ERR_USAGE for fields out of range, ERR_TOO_LARGE, ERR_DECODE for doubles or impossible epochs,
 * ERR_SIGNATURE for a bad proof
 */
export function signDeviceList(crypto: Crypto, random: Random, accountPrivateKey: Uint8Array, options: DeviceListOptions): DeviceList {
  checkSize(options.devices.length, MAX_DEVICES);
  checkSize(options.removed.length, MAX_REMOVED);
  checkLength(accountPrivateKey, HASH_LENGTH, "accountPrivateKey");
  const devices = [...options.devices].sort((a, b) => compare(a.device, b.device));
  const removed = [...options.removed].sort(compare);
  const bytes = concat(
    Uint8Array.of(LIST_VERSION),
    encodeName(options.user, "user"),
    serializeKey(crypto.x25519PublicKey(accountPrivateKey)),
    encodeU32(options.epoch, "epoch"),
    fixed(options.previousHash, HASH_LENGTH, "previousHash"),
    u16be(devices.length),
    ...devices.map(encodeEntry),
    u16be(removed.length),
    ...removed.map((device) => fixed(device, ID_LENGTH, "removed device")),
  );
  return decodeDeviceList(crypto, concat(bytes, sign(crypto, random, accountPrivateKey, "device list", bytes)));
}

/**
 * Reads a list and verifies the account signature and every proof. Whose list it should be, and whether it may follow the one
 * known, is {@link acceptDeviceList}'s.
 * @throws {MiyuError} ERR_VERSION, ERR_DECODE (also order, doubles, a device both listed and removed, over 256 devices), ERR_SIGNATURE
 */
export function decodeDeviceList(crypto: Crypto, bytes: Uint8Array): DeviceList {
  const signed = copy(bytes);
  const reader = new Reader(signed, "device list");
  reader.version(LIST_VERSION);
  const user = readName(reader);
  const accountKey = readKey(reader);
  const epoch = reader.u32();
  const previousHash = reader.bytes(HASH_LENGTH);
  const devices = readEntries(reader, epoch);
  const removed = readRemoved(reader, devices);
  const list = signed.subarray(0, reader.offset);
  const signature = reader.bytes(SIGNATURE_LENGTH);
  reader.end();
  verify(crypto, accountKey, "device list", signature, list);
  for (const entry of devices) {
    verify(crypto, entry.identityKey, "device proof", entry.proof, ...proofParts(user, accountKey, entry.device));
  }
  return { user, accountKey, epoch, previousHash, devices, removed, hash: hashWith(crypto, HASHED.deviceList, list), signed };
}

/**
 * Whether `next`, read for `user`, may take the place of `known`. A first list only has to name the user: trust on first use.
 * @throws {MiyuError} ERR_DEVICE_LIST with `rule`: `user` (another user's), `account` (another account key), `epoch` (lower), `fork`
 * (same epoch and other hash, or the very next epoch on another past), `identity` (a known id with another key, or a known key under
 * another id), `removed` (a removed id back, a removed id forgotten, or a device gone without being named as removed)
 */
export function acceptDeviceList(crypto: Crypto, known: AcceptedList | undefined, next: DeviceList, user: string): "same" | "newer" {
  const refuse = (rule: string): never => {
    throw new MiyuError("ERR_DEVICE_LIST", { user, rule });
  };
  if (next.user !== user || (known !== undefined && known.user !== user)) refuse("user");
  if (known === undefined) return "newer";
  if (!crypto.equal(known.accountKey, next.accountKey)) refuse("account");
  if (next.epoch < known.epoch) refuse("epoch");
  if (next.epoch === known.epoch) return crypto.equal(known.hash, next.hash) ? "same" : refuse("fork");
  if (next.epoch === known.epoch + 1 && !crypto.equal(known.hash, next.previousHash)) refuse("fork");
  for (const entry of known.devices) {
    const byId = next.devices.find((other) => compare(other.device, entry.device) === 0);
    const byKey = next.devices.find((other) => compare(other.identityKey, entry.identityKey) === 0);
    if (byId !== byKey) refuse("identity");
    if (byId === undefined && !next.removed.some((id) => compare(id, entry.device) === 0)) refuse("removed");
  }
  // Once removed, always named as removed: else an id could be dropped in one list and come back in the next.
  for (const id of known.removed) if (!next.removed.some((other) => compare(other, id) === 0)) refuse("removed");
  return "newer";
}

function encodeEntry(entry: DeviceEntry): Bytes {
  if (!Number.isInteger(entry.suites) || entry.suites < 1 || entry.suites > 0xff) throw misuse("suites must be 1 to 255");
  return concat(
    fixed(entry.device, ID_LENGTH, "device"),
    encodeKey(entry.identityKey, "identityKey"),
    Uint8Array.of(entry.suites),
    encodeU32(entry.since, "since"),
    fixed(entry.proof, SIGNATURE_LENGTH, "proof"),
  );
}

function readEntries(reader: Reader, epoch: number): DeviceEntry[] {
  const count = reader.u16();
  if (count > MAX_DEVICES || count * ENTRY_LENGTH > reader.left) reader.fail();
  const entries: DeviceEntry[] = [];
  for (let i = 0; i < count; i++) {
    const device = reader.bytes(ID_LENGTH);
    if (compare(entries.at(-1)?.device ?? new Uint8Array(0), device) >= 0) reader.fail();
    const identityKey = readKey(reader);
    // Two devices of one key could not be told apart by their sessions.
    if (entries.some((other) => compare(other.identityKey, identityKey) === 0)) reader.fail();
    const suites = reader.u8();
    const since = reader.u32();
    if (suites === 0 || since > epoch) reader.fail();
    entries.push({ device, identityKey, suites, since, proof: reader.bytes(SIGNATURE_LENGTH) });
  }
  return entries;
}

function readRemoved(reader: Reader, devices: readonly DeviceEntry[]): Bytes[] {
  const count = reader.u16();
  if (count > MAX_REMOVED || count * ID_LENGTH > reader.left) reader.fail();
  const listed = new Set(devices.map((entry) => entry.device.join()));
  const removed: Bytes[] = [];
  for (let i = 0; i < count; i++) {
    const device = reader.bytes(ID_LENGTH);
    if (compare(removed.at(-1) ?? new Uint8Array(0), device) >= 0 || listed.has(device.join())) reader.fail();
    removed.push(device);
  }
  return removed;
}

function proofParts(user: string, accountKey: Uint8Array, device: Uint8Array): readonly Uint8Array[] {
  return [encodeName(user, "user"), accountKey, device];
}
