/**
 * The own prekeys: making, storing, publishing, rotating and refilling them. Private keys are durable before a public key leaves.
 * Signed prekeys change every 7 days and are kept 30 more, never fewer than the last 5; one-time prekeys are kept at up to 100 where the
 * directory hands each out once, and refilled below 25 (`refill.ts`).
 */
import { equal, toBase64url, wipe, type Bytes } from "../bytes.ts";
import { decodeDirectoryRecord, signBundle, type DeviceBundle } from "../envelope/bundle.ts";
import { acceptDeviceList, decodeDeviceList } from "../envelope/deviceList.ts";
import { MiyuError } from "../errors.ts";
import { decodeSignedPreKey, encodeSignedPreKey, generateSignedPreKey, type SignedPreKey } from "../protocol/preKeys.ts";
import type { DeviceId, Directory } from "../transport/types.ts";
import { getOwnList, noteListPublished, putOwnList } from "./account.ts";
import type { Context } from "./context.ts";
import { findDevice } from "./deviceLists.ts";
import { ownDirectoryRecord } from "./keyExchange.ts";
import { RECORDS } from "./naming.ts";
import { getStock, putStock } from "./preKeyRecord.ts";

const DAY = 24 * 60 * 60 * 1000;
/** Days a signed prekey is published, and days it is kept in all. */
const ROTATE_AFTER = 7 * DAY;
const KEEP_FOR = 37 * DAY;
const KEEP_AT_LEAST = 5;
/** One-time prekeys in stock, below which more are made. */
const LOW_STOCK = 25;
const PUBLISH_ATTEMPTS = 5;

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
    if (expired.length > 0) await (await import("./expiry.ts")).removeSignedPreKeys(store, expired);
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

  async function refillIfLow(directory: Directory): Promise<void> {
    const { stock, claim, caps } = directory;
    if (!caps.oneTime || stock === undefined || claim === undefined) return;
    const inStock = await directory.stock?.(account.device, []);
    if (inStock === undefined || inStock >= LOW_STOCK) return;
    await (await import("./refill.ts")).refill(context, directory, inStock);
  }

  return {
    async maintain(mayRemove) {
      wipe((await currentSignedPreKey()).keyPair.privateKey);
      if (mayRemove) await removeExpired();
      if (context.directory === undefined) return;
      await publish(context.directory);
      await refillIfLow(context.directory);
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
