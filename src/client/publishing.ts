/** Publishing the own list and bundle in a directory, and learning from what is published there. Loaded where there is a directory. */
import { equal, toBase64url, type Bytes } from "../bytes.ts";
import { decodeDirectoryRecord, type DeviceBundle } from "../envelope/bundle.ts";
import { acceptDeviceList, decodeDeviceList } from "../envelope/deviceList.ts";
import { MiyuError } from "../errors.ts";
import type { DeviceId, Directory } from "../transport/types.ts";
import { getOwnList, putOwnList } from "./account.ts";
import type { Context } from "./context.ts";
import { findDevice } from "./deviceLists.ts";
import { ownDirectoryRecord } from "./keyExchange.ts";
import { RECORDS } from "./naming.ts";

const PUBLISH_ATTEMPTS = 5;

/** What publishing works with and tells. */
export interface Publication {
  readonly context: Context;
  /** The directory has this list. */
  done(signed: Bytes): Promise<void>;
  /** This device is no longer on its account's list. */
  removed(): void;
}

/**
 * Publishes the own list with this device's bundle, unless the directory has both.
 * @throws {MiyuError} ERR_TRANSPORT_UNAVAILABLE; ERR_DEVICE_LIST if this device was removed from its account; and the store's
 */
export async function publishRecord(publication: Publication, directory: Directory, own: DeviceBundle): Promise<void> {
  const { context } = publication;
  const { account, store } = context;
  for (let attempt = 0; attempt < PUBLISH_ATTEMPTS; attempt++) {
    const published = await directory.read(account.user);
    const { others, abandoned } = published === undefined ? { others: [], abandoned: [] } : await adoptPublished(publication, published.record);
    const { signed } = await store.transact([RECORDS.ownList], getOwnList);
    if (published !== undefined && isUpToDate(published.record, signed, own)) return publication.done(signed);
    const version = await directory.publish(ownDirectoryRecord(signed, own, others), published?.version ?? null);
    if (version === undefined) continue;
    await publication.done(signed);
    for (const device of abandoned) await directory.forget?.(device);
    return;
  }
  throw new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "the directory record kept changing" });
}

/**
 * Takes a newer own list out of the published record, and the bundles of other devices on it. A record of another account is
 * replaced: it is what an account that was lost left behind. Devices that are not on our list are abandoned: nobody empties their mailboxes.
 */
async function adoptPublished({ context, removed: tellRemoved }: Publication, record: Uint8Array): Promise<{ readonly others: readonly Bytes[]; readonly abandoned: readonly DeviceId[] }> {
  const { account, crypto, store } = context;
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
    tellRemoved();
    throw new MiyuError("ERR_DEVICE_LIST", { user: account.user, rule: "removed" });
  }
  const own = await store.transact([RECORDS.ownList], (view) => getOwnList(view).known.devices.map((entry) => toBase64url(entry.device)));
  const others = bundles.filter((bytes) => {
    const device = toBase64url(bytes.subarray(1, 17));
    return device !== account.device && own.includes(device);
  });
  return { others, abandoned: listed.filter((device) => !own.includes(device)) };
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
