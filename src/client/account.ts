/**
 * The own account and device: made once (newAccount.ts), sealed in the store, never changed but for the device list. The account key signs lists,
 * the identity key signs bundles and proves the device; neither ever leaves this file's callers in clear (client identity: docs/protocol.md §5).
 */
import { concat, equal, lp, lp32, Reader, toBase64url, u32be, utf8, wipe, type Bytes } from "../bytes.ts";
import type { Crypto } from "../crypto/types.ts";
import type { DeviceList } from "../envelope/deviceList.ts";
import { MiyuError } from "../errors.ts";
import { keyPairFromPrivate } from "../protocol/keys.ts";
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

/** An account and the first list this device signs for it. */
export interface NewAccount {
  readonly account: OwnAccount;
  readonly list: DeviceList;
}

/** Where an account comes from that the store does not have. */
export interface Origin {
  readonly restored: boolean;
  make(): Promise<NewAccount>;
}

/** Reads the account of `user`, or makes and stores it. Two tabs that both make one end with the first. @throws {MiyuError} ERR_USAGE */
export async function openAccount(crypto: Crypto, store: Store, user: UserId, origin: Origin): Promise<OwnAccount> {
  const existing = (bytes: Bytes): OwnAccount => {
    if (origin.restored) throw new MiyuError("ERR_USAGE", { reason: "the store already has an account" });
    return decodeAccount(crypto, bytes, user);
  };
  const found = await store.transact([RECORDS.identity], (view) => view.get(RECORDS.identity));
  if (found !== undefined) return existing(found);
  const fresh = await origin.make();
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
  return existing(stored);
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
  reader.schema(VERSION);
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
