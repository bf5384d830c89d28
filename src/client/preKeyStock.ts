/**
 * The own prekeys: making, storing, publishing, rotating and refilling them. Private keys are durable before a public key leaves.
 * Signed prekeys change every 7 days and are kept 30 more, never fewer than the last 5; one-time prekeys are kept at up to 100 where the
 * directory hands each out once, refilled below 25, at most 4 times a day.
 */
import { concat, equal, Reader, toBase64url, u16be, u32be, u64be, wipe, type Bytes } from "../bytes.ts";
import { decodeDirectoryRecord, encodeStockedPreKey, signBundle, type DeviceBundle } from "../envelope/bundle.ts";
import { acceptDeviceList, decodeDeviceList } from "../envelope/deviceList.ts";
import { MiyuError } from "../errors.ts";
import { decodeSignedPreKey, encodeOneTimePreKey, encodeSignedPreKey, generateOneTimePreKeys, generateSignedPreKey, type SignedPreKey } from "../protocol/preKeys.ts";
import type { StoreView } from "../store/types.ts";
import type { DeviceId, Directory } from "../transport/types.ts";
import { getOwnList, noteListPublished, putOwnList } from "./account.ts";
import type { Context } from "./context.ts";
import { findDevice } from "./deviceLists.ts";
import { ownDirectoryRecord } from "./keyExchange.ts";
import { RECORDS } from "./naming.ts";

const DAY = 24 * 60 * 60 * 1000;
/** Days a signed prekey is published, and days it is kept in all. */
const ROTATE_AFTER = 7 * DAY;
const KEEP_FOR = 37 * DAY;
const KEEP_AT_LEAST = 5;
/** One-time prekeys in stock. */
const FULL_STOCK = 100;
const LOW_STOCK = 25;
const REFILLS_PER_DAY = 4;
const PUBLISH_ATTEMPTS = 5;
const VERSION = 1;

/** Which prekeys exist and what was done with them. Ids count up from 1 and never come twice in one device's life. */
interface Stock {
  readonly nextSigned: number;
  readonly nextOneTime: number;
  /** Oldest first. */
  readonly signed: readonly { readonly id: number; readonly createdAt: number }[];
  /** Days since 1970 of the last refill, and refills on it. */
  readonly refillDay: number;
  readonly refills: number;
}

const EMPTY: Stock = { nextSigned: 1, nextOneTime: 1, signed: [], refillDay: 0, refills: 0 };

/** Keeps the published keys fresh. */
export interface PreKeyKeeper {
  /**
   * Rotates, publishes and refills what is due, and removes what expired if `mayRemove`: not where the clock may be wrong.
   * @throws {MiyuError} ERR_TRANSPORT_UNAVAILABLE and the store's; ERR_DEVICE_LIST if this device was removed from its account
   */
  maintain(mayRemove: boolean): Promise<void>;
  /** Resolves once the directory has had the own list, publishing it if need be: before, nobody can check what this device sends. */
  announced(): Promise<void>;
  /** The own directory record, freshly signed, for a peer that asks. */
  ownRecord(): Promise<Bytes>;
}

/** Makes a keeper. */
export function preKeyKeeper(context: Context): PreKeyKeeper {
  const { account, crypto, random, store } = context;
  let known = context.directory === undefined;
  let publishing: Promise<void> | undefined;
  let toldRemoved = false;

  async function bundle(): Promise<DeviceBundle> {
    const { id, keyPair, signature, createdAt } = await currentSignedPreKey();
    const signedPreKey = { id, publicKey: keyPair.publicKey, signature };
    wipe(keyPair.privateKey);
    const { local, user, deviceBytes: device } = account;
    return signBundle(crypto, random, local.identityKeyPair.privateKey, { user, device, registrationId: local.registrationId, signedPreKey, createdAt });
  }

  function currentSignedPreKey(): Promise<SignedPreKey> {
    const now = context.now();
    return store.transact([RECORDS.preKeyStock], (view) => {
      const stock = getStock(view);
      const newest = stock.signed.at(-1);
      // A clock set back by more than the period makes a new key as well: nothing old is published for ever.
      if (newest !== undefined && Math.abs(now - newest.createdAt) < ROTATE_AFTER) {
        view.need(RECORDS.signedPreKey(newest.id));
        const bytes = view.get(RECORDS.signedPreKey(newest.id));
        if (bytes !== undefined) {
          const kept = decodeSignedPreKey(bytes);
          wipe(bytes);
          return kept;
        }
      }
      const key = RECORDS.signedPreKey(stock.nextSigned);
      // Before the key is made: a run that starts over would leave its secret behind.
      view.need(key);
      const fresh = generateSignedPreKey(crypto, random, account.local.identityKeyPair, stock.nextSigned, now);
      view.put(key, encodeSignedPreKey(fresh));
      putStock(view, { ...stock, nextSigned: fresh.id + 1, signed: [...stock.signed, { id: fresh.id, createdAt: now }] });
      return fresh;
    });
  }

  /** Removes signed prekeys that are past their time, with the base keys remembered for them. */
  async function removeExpired(): Promise<void> {
    const now = context.now();
    const expired = await store.transact([RECORDS.preKeyStock], (view) => {
      const { signed } = getStock(view);
      return signed.slice(0, Math.max(0, signed.length - KEEP_AT_LEAST)).filter(({ createdAt }) => now - createdAt > KEEP_FOR);
    });
    if (expired.length === 0) return;
    const baseKeys = await store.list("baseKeys");
    for (const { id } of expired) {
      const remembered = baseKeys.filter((row) => row.id.startsWith(`${String(id)}/`)).map((row) => ({ kind: "baseKeys", id: row.id }) as const);
      await store.transact([RECORDS.preKeyStock, RECORDS.signedPreKey(id), ...remembered], (view) => {
        const stock = getStock(view);
        view.remove(RECORDS.signedPreKey(id));
        for (const key of remembered) view.remove(key);
        putStock(view, { ...stock, signed: stock.signed.filter((other) => other.id !== id) });
      });
    }
  }

  /** Publishes what the directory does not have, one at a time. */
  function publish(directory: Directory): Promise<void> {
    publishing ??= publishOnce(directory).finally(() => {
      publishing = undefined;
    });
    return publishing;
  }

  async function publishOnce(directory: Directory): Promise<void> {
    const own = await bundle();
    for (let attempt = 0; attempt < PUBLISH_ATTEMPTS; attempt++) {
      const published = await directory.read(account.user);
      const { others, abandoned } = published === undefined ? { others: [], abandoned: [] } : await adoptPublished(published.record);
      const { signed } = await store.transact([RECORDS.ownList], getOwnList);
      if (published !== undefined && isUpToDate(published.record, signed, own)) return notePublished(signed);
      const version = await directory.publish(ownDirectoryRecord(signed, own, others), published?.version ?? null);
      if (version === undefined) continue;
      await notePublished(signed);
      for (const device of abandoned) await directory.forget?.(device);
      return;
    }
    throw new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "the directory record kept changing" });
  }

  async function notePublished(signed: Bytes): Promise<void> {
    await store.transact([RECORDS.ownList], (view) => noteListPublished(view, signed));
    known = true;
  }

  /**
   * Takes a newer own list out of the published record, and the bundles of other devices on it. A record of another account is
   * replaced: it is what an account that was lost left behind. Devices that are not on our list are abandoned: nobody empties their mailboxes.
   */
  async function adoptPublished(record: Uint8Array): Promise<{ readonly others: readonly Bytes[]; readonly abandoned: readonly DeviceId[] }> {
    let published;
    try {
      const decoded = decodeDirectoryRecord(record);
      published = { list: decodeDeviceList(crypto, decoded.deviceList), bundles: decoded.bundles };
    } catch {
      return { others: [], abandoned: [] };
    }
    const { list, bundles } = published;
    if (list.user !== account.user) return { others: [], abandoned: [] };
    const listed = list.devices.map((entry) => toBase64url(entry.device));
    if (!equal(list.accountKey, account.accountKeyPair.publicKey)) return { others: [], abandoned: listed };
    const removed = await store.transact([RECORDS.ownList], (view) => {
      const own = getOwnList(view);
      if (list.epoch <= own.known.epoch) return findDevice(own.known, account.deviceBytes) === undefined;
      acceptDeviceList(crypto, own.known, list, account.user);
      putOwnList(view, list, true);
      return findDevice(list, account.deviceBytes) === undefined;
    });
    if (removed) {
      if (!toldRemoved) context.events.push({ kind: "device-removed", id: `device-removed/${account.device}` });
      toldRemoved = true;
      throw new MiyuError("ERR_DEVICE_LIST", { user: account.user, rule: "removed" });
    }
    const own = await store.transact([RECORDS.ownList], (view) => getOwnList(view).known.devices.map((entry) => toBase64url(entry.device)));
    const others = bundles.filter((bytes) => {
      const device = toBase64url(bytes.subarray(1, 17));
      return device !== account.device && own.includes(device);
    });
    return { others, abandoned: listed.filter((device) => !own.includes(device)) };
  }

  async function refill(directory: Directory): Promise<void> {
    const { stock: stockKeys, claim, caps } = directory;
    if (!caps.oneTime || stockKeys === undefined || claim === undefined) return;
    const inStock = await directory.stock?.(account.device, []);
    if (inStock === undefined || inStock >= LOW_STOCK) return;
    const today = Math.floor(context.now() / DAY);
    const stocked = await store.transact([RECORDS.preKeyStock], (view) => {
      const stock = getStock(view);
      const refills = stock.refillDay === today ? stock.refills : 0;
      if (refills >= REFILLS_PER_DAY) return undefined;
      const count = FULL_STOCK - inStock;
      view.need(...Array.from({ length: count }, (_, i) => RECORDS.preKey(stock.nextOneTime + i)));
      const keys = generateOneTimePreKeys(crypto, random, stock.nextOneTime, count);
      for (const key of keys) view.put(RECORDS.preKey(key.id), encodeOneTimePreKey(key));
      putStock(view, { ...stock, nextOneTime: stock.nextOneTime + keys.length, refillDay: today, refills: refills + 1 });
      const publicKeys = keys.map(({ id, keyPair }) => encodeStockedPreKey({ id, publicKey: keyPair.publicKey }));
      view.afterCommit(() => {
        for (const { keyPair } of keys) wipe(keyPair.privateKey);
      });
      return publicKeys;
    });
    if (stocked === undefined) {
      context.events.push({ kind: "prekeys", id: `prekeys/refill/${String(today)}`, reason: "refill-limit", user: account.user });
      return;
    }
    await directory.stock?.(account.device, stocked);
  }

  return {
    async maintain(mayRemove) {
      wipe((await currentSignedPreKey()).keyPair.privateKey);
      if (mayRemove) await removeExpired();
      if (context.directory === undefined) return;
      await publish(context.directory);
      await refill(context.directory);
    },
    async announced() {
      if (known || context.directory === undefined) return;
      if ((await store.transact([RECORDS.ownList], getOwnList)).published) known = true;
      else await publish(context.directory);
    },
    async ownRecord() {
      const { signed } = await store.transact([RECORDS.ownList], getOwnList);
      return ownDirectoryRecord(signed, await bundle());
    },
  };
}

/** Whether the published record has our list and a bundle of ours for the present signed prekey. */
function isUpToDate(record: Uint8Array, signedList: Uint8Array, own: DeviceBundle): boolean {
  try {
    const { deviceList, bundles } = decodeDirectoryRecord(record);
    // Signatures are randomised: what they cover is compared, without the last 64 bytes.
    const body = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, Math.max(0, bytes.length - 64));
    return equal(deviceList, signedList) && bundles.some((bytes) => equal(body(bytes), body(own.signed)));
  } catch {
    return false;
  }
}

function getStock(view: StoreView): Stock {
  const bytes = view.get(RECORDS.preKeyStock);
  if (bytes === undefined) return EMPTY;
  const reader = new Reader(bytes, "prekey stock");
  reader.schema(VERSION);
  const [nextSigned, nextOneTime, refillDay, refills] = [reader.u32(), reader.u32(), reader.u32(), reader.u32()];
  const signed = Array.from({ length: reader.u16() }, () => ({ id: reader.u32(), createdAt: reader.u64() }));
  reader.end();
  return { nextSigned, nextOneTime, signed, refillDay, refills };
}

function putStock(view: StoreView, stock: Stock): void {
  view.put(
    RECORDS.preKeyStock,
    concat(
      Uint8Array.of(VERSION),
      ...[stock.nextSigned, stock.nextOneTime, stock.refillDay, stock.refills].map(u32be),
      u16be(stock.signed.length),
      ...stock.signed.flatMap(({ id, createdAt }) => [u32be(id), u64be(createdAt)]),
    ),
  );
}
