/**
 * The own account and device: made once, sealed in the store, never changed but for the device list. The account key signs lists,
 * the identity key signs bundles and proves the device; neither ever leaves this file's callers in clear (client identity: docs/protocol.md §5).
 */
import { concat, equal, lp, lp32, Reader, toBase64url, u32be, utf8, wipe, type Bytes } from "../bytes.ts";
import type { Crypto, Random } from "../crypto/types.ts";
import { proveDevice, signDeviceList, SUITES, type DeviceList } from "../envelope/deviceList.ts";
import { MiyuError } from "../errors.ts";
import { generateKeyPair, keyPairFromPrivate } from "../protocol/keys.ts";
import type { KeyPair, LocalIdentity } from "../protocol/types.ts";
import type { Store, StoreView } from "../store/types.ts";
import type { DeviceId, UserId } from "../transport/types.ts";
import { decodeKnownList, encodeKnownList, knownListOf, type KnownList } from "./deviceLists.ts";
import { RECORDS } from "./naming.ts";

const VERSION = 1;
const WHAT = "account";

/** Keys and ids of this device. In memory as long as the client is open; wiped on close. */
export interface OwnAccount {
  readonly user: UserId;
  /** 16 bytes. */
  readonly deviceBytes: Bytes;
  readonly device: DeviceId;
  readonly local: LocalIdentity;
  /** Signs device lists; never used for key agreement. */
  readonly accountKeyPair: KeyPair;
}

/** The own device list: its known form, the signed bytes that are published, and whether the directory has had them. */
export interface OwnList {
  readonly known: KnownList;
  readonly signed: Bytes;
  readonly published: boolean;
}

/** What an account begins from, if not from nothing: an account key and the newest list it is known to have signed. */
export interface Beginning {
  /** 32 bytes; stays with who made it. */
  readonly accountPrivateKey: Bytes;
  readonly list: DeviceList;
}

/** Reads the account of `user`, or makes it (from `beginning`, if given) and stores it. Two tabs that both make one end with the first. */
export async function openAccount(crypto: Crypto, random: Random, store: Store, user: UserId, beginning: Beginning | undefined): Promise<OwnAccount> {
  const found = await store.transact([RECORDS.identity], (view) => view.get(RECORDS.identity));
  if (found !== undefined) {
    if (beginning !== undefined) throw new MiyuError("ERR_USAGE", { reason: "the store already has an account" });
    return decodeAccount(crypto, found, user);
  }
  const fresh = beginning === undefined ? beginAccount(crypto, random, user) : continueAccount(crypto, random, user, beginning);
  const encoded = encodeAccount(fresh.account);
  const stored = await store.transact([RECORDS.identity, RECORDS.ownList], (view) => {
    const first = view.get(RECORDS.identity);
    if (first !== undefined) return first;
    view.put(RECORDS.identity, encoded);
    putOwnList(view, fresh.list, false);
    return undefined;
  });
  wipe(encoded);
  if (stored === undefined) return fresh.account;
  closeAccount(fresh.account);
  if (beginning !== undefined) throw new MiyuError("ERR_USAGE", { reason: "the store already has an account" });
  return decodeAccount(crypto, stored, user);
}

/** Wipes the private keys. */
export function closeAccount(account: OwnAccount): void {
  wipe(account.local.identityKeyPair.privateKey, account.accountKeyPair.privateKey);
}

/** The own list. Its record must be named. */
export function getOwnList(view: StoreView): OwnList {
  const bytes = view.get(RECORDS.ownList);
  if (bytes === undefined) throw new MiyuError("ERR_STORE_LOST", { what: "device list" });
  const reader = new Reader(bytes, WHAT);
  const known = decodeKnownList(reader.lp32());
  const signed = reader.lp32();
  const published = reader.u8() === 1;
  reader.end();
  return { known, signed, published };
}

/** Stores a newer own list. Its record must be named. */
export function putOwnList(view: StoreView, list: DeviceList, published: boolean): void {
  putList(view, { known: knownListOf(list), signed: list.signed, published });
}

/** Notes that the directory has `signed`, if that is still the own list. Its record must be named. */
export function noteListPublished(view: StoreView, signed: Uint8Array): void {
  const own = getOwnList(view);
  if (!own.published && equal(own.signed, signed)) putList(view, { ...own, published: true });
}

function putList(view: StoreView, { known, signed, published }: OwnList): void {
  view.put(RECORDS.ownList, concat(lp32(encodeKnownList(known)), lp32(signed), Uint8Array.of(published ? 1 : 0)));
}

/** A list that follows `previous` and has this device alone; all others are removed. */
function listWithOnly(crypto: Crypto, random: Random, account: OwnAccount, previous: DeviceList): DeviceList {
  const removed = [...previous.removed, ...previous.devices.map((entry) => entry.device)];
  return ownDeviceList(crypto, random, account, { epoch: previous.epoch + 1, previousHash: previous.hash, removed });
}

function beginAccount(crypto: Crypto, random: Random, user: UserId): { account: OwnAccount; list: DeviceList } {
  const account = makeDevice(crypto, random, user, generateKeyPair(crypto, random));
  return { account, list: ownDeviceList(crypto, random, account, { epoch: 1, previousHash: new Uint8Array(32), removed: [] }) };
}

function continueAccount(crypto: Crypto, random: Random, user: UserId, beginning: Beginning): { account: OwnAccount; list: DeviceList } {
  const account = makeDevice(crypto, random, user, keyPairFromPrivate(crypto, beginning.accountPrivateKey));
  return { account, list: listWithOnly(crypto, random, account, beginning.list) };
}

function makeDevice(crypto: Crypto, random: Random, user: UserId, accountKeyPair: KeyPair): OwnAccount {
  const deviceBytes = random(16);
  const [high = 0, low = 0] = random(2);
  // 1 … 16,383: what peers of the Signal family can carry.
  const registrationId = (((high << 8) | low) & 0x3fff) || 1;
  const local = { identityKeyPair: generateKeyPair(crypto, random), registrationId };
  return { user, deviceBytes, device: toBase64url(deviceBytes), local, accountKeyPair };
}

function ownDeviceList(
  crypto: Crypto,
  random: Random,
  account: OwnAccount,
  { epoch, previousHash, removed }: { readonly epoch: number; readonly previousHash: Uint8Array; readonly removed: readonly Uint8Array[] },
): DeviceList {
  const { user, deviceBytes, local, accountKeyPair } = account;
  const proof = proveDevice(crypto, random, {
    user,
    accountKey: accountKeyPair.publicKey,
    device: deviceBytes,
    identityPrivateKey: local.identityKeyPair.privateKey,
  });
  const entry = { device: deviceBytes, identityKey: local.identityKeyPair.publicKey, suites: SUITES.x3dh, since: epoch, proof };
  return signDeviceList(crypto, random, accountKeyPair.privateKey, { user, epoch, previousHash, devices: [entry], removed });
}

function encodeAccount(account: OwnAccount): Bytes {
  const { user, deviceBytes, local, accountKeyPair } = account;
  return concat(
    Uint8Array.of(VERSION),
    lp(utf8(user)),
    deviceBytes,
    u32be(local.registrationId),
    local.identityKeyPair.privateKey,
    accountKeyPair.privateKey,
  );
}

function decodeAccount(crypto: Crypto, bytes: Uint8Array, user: UserId): OwnAccount {
  const reader = new Reader(bytes, WHAT);
  const version = reader.u8();
  if (version !== VERSION) throw new MiyuError("ERR_SCHEMA", { found: version, known: VERSION });
  if (reader.text() !== user) throw new MiyuError("ERR_USAGE", { reason: "the store belongs to another user" });
  const deviceBytes = reader.bytes(16);
  const registrationId = reader.u32();
  const identityPrivate = reader.bytes(32);
  const accountPrivate = reader.bytes(32);
  reader.end();
  const account: OwnAccount = {
    user,
    deviceBytes,
    device: toBase64url(deviceBytes),
    local: { identityKeyPair: keyPairFromPrivate(crypto, identityPrivate), registrationId },
    accountKeyPair: keyPairFromPrivate(crypto, accountPrivate),
  };
  wipe(bytes, identityPrivate, accountPrivate);
  return account;
}
