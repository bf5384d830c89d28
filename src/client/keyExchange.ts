/**
 * Finding a user's keys: in the directory, or, without one, by asking inside the conversation (`inBand.ts`).
 * Whatever comes back is believed only after its signatures and the rules of device lists held.
 */
import { toBase64url, toHex, wipe, type Bytes } from "../bytes.ts";
import { decodeDirectoryRecord, encodeDirectoryRecord, decodeStockedPreKey, verifyBundle, type DeviceBundle } from "../envelope/bundle.ts";
import { decodeDeviceList, type DeviceList } from "../envelope/deviceList.ts";
import { MiyuError } from "../errors.ts";
import { verifyPreKeyBundle, type VerifiedPreKeyBundle } from "../protocol/preKeys.ts";
import type { DeviceId, Directory, UserId } from "../transport/types.ts";
import type { Context } from "./context.ts";
import { unlessStopped } from "./stopping.ts";
import type { KnownDevice } from "./deviceLists.ts";
import type { FindOptions, FoundKeys, InBand } from "./inBand.ts";
import { RECORDS } from "./naming.ts";
import { getPeer, observeList, putPeer, type Peer } from "./peers.ts";

/** Finds keys and answers those who look for ours. */
export interface KeyExchange {
  /**
   * Reads the user's record and remembers its list.
   * @throws {MiyuError} ERR_NO_SESSION if there is none, ERR_TRANSPORT_UNAVAILABLE, ERR_SIGNATURE, ERR_DEVICE_LIST, ERR_DECODE, ERR_VERSION, ERR_ABORTED
   */
  find(user: UserId, options?: FindOptions): Promise<FoundKeys>;
  /** Settles when the user has answered an open question; undefined if there is none. */
  answer(user: UserId): Promise<unknown> | undefined;
  /** Turns a verified bundle into one a session can start from, with a one-time prekey if the directory has one left. */
  claim(user: UserId, entry: KnownDevice, bundle: DeviceBundle, signal?: AbortSignal): Promise<VerifiedPreKeyBundle>;
  /** Answers a request, within limits. */
  onRequest(from: UserId, nonce: Bytes): Promise<void>;
  /** Takes an answer that was asked for. Resolves when its list is remembered; an answer that is not believed changes nothing. */
  onReply(from: UserId, nonce: Bytes, record: Bytes): Promise<void>;
}

/** @param ownRecord - the own directory record, freshly signed, for answers */
export function keyExchange(context: Context, ownRecord: () => Promise<Bytes>): KeyExchange {
  const { crypto, store, directory } = context;
  /** Asking inside the conversation, once there was a need for it. */
  let asking: InBand | undefined;
  const finding = new Map<UserId, Promise<FoundKeys>>();

  async function inBandPart(): Promise<InBand> {
    const { inBand } = await import("./inBand.ts");
    return (asking ??= inBand({ context, ownRecord, believe }));
  }

  async function findInDirectory(from: Directory, user: UserId): Promise<FoundKeys> {
    const found = await from.read(user);
    if (found === undefined) throw new MiyuError("ERR_NO_SESSION");
    return believe(user, found.record);
  }

  /** Verifies a record and remembers its list. */
  async function believe(user: UserId, record: Uint8Array): Promise<FoundKeys> {
    const { deviceList, bundles } = decodeDirectoryRecord(record);
    const list = decodeDeviceList(crypto, deviceList);
    if (list.user !== user) throw new MiyuError("ERR_DEVICE_LIST", { user, rule: "user" });
    // Before anything is stored: a record of which any part does not hold leaves no trace.
    const verified = verifiedBundles(user, list, bundles);
    return { peer: await remember(user, list), bundles: verified };
  }

  function verifiedBundles(user: UserId, list: DeviceList, bundles: readonly Bytes[]): Map<DeviceId, DeviceBundle> {
    const found = new Map<DeviceId, DeviceBundle>();
    for (const entry of list.devices) {
      for (const bytes of bundles) {
        // The device id stands behind the version byte; the signature is checked under the key that the list gives this id.
        if (toHex(bytes.subarray(1, 17)) !== toHex(entry.device)) continue;
        found.set(toBase64url(entry.device), verifyBundle(crypto, user, entry.identityKey, bytes));
      }
    }
    return found;
  }

  async function remember(user: UserId, list: DeviceList): Promise<Peer> {
    const { peer, keyChanged } = await store.transact([RECORDS.peer(user)], (view) => {
      const observation = observeList(crypto, getPeer(view, user), list, user, context.now());
      putPeer(view, user, observation.peer);
      return observation;
    });
    if (keyChanged) announceKeyChange(context, user, list.accountKey);
    return peer;
  }

  return {
    find(user, options = {}) {
      if (directory === undefined) return inBandPart().then((part) => part.find(user, options));
      // Two callers at once share one look-up; each may stop waiting for it by itself.
      let running = finding.get(user);
      if (running === undefined) {
        running = findInDirectory(directory, user).finally(() => finding.delete(user));
        finding.set(user, running);
      }
      return unlessStopped(context, running, options.signal);
    },

    answer: (user) => asking?.answer(user),

    async claim(user, entry, bundle, signal) {
      const device = toBase64url(entry.device);
      const claimed = await directory?.claim?.(user, device, signal === undefined ? {} : { signal });
      const oneTimePreKey = claimed === undefined ? undefined : decodeStockedPreKey(claimed);
      if (oneTimePreKey === undefined) {
        context.events.push({ kind: "prekeys", id: `prekeys/${device}/${String(bundle.signedPreKey.id)}`, reason: "no-one-time-key", user });
      }
      const { registrationId, signedPreKey } = bundle;
      return verifyPreKeyBundle(crypto, {
        registrationId,
        identityKey: entry.identityKey,
        signedPreKey,
        ...(oneTimePreKey !== undefined && { oneTimePreKey }),
      });
    },

    onRequest: async (from, nonce) => (await inBandPart()).onRequest(from, nonce),
    // Without a part that asked there is no question this could answer.
    onReply: async (from, nonce, record) => asking?.onReply(from, nonce, record),
  };
}

/** The own directory record of a list and this device's bundle. */
export function ownDirectoryRecord(signedList: Uint8Array, bundle: DeviceBundle, others: readonly Uint8Array[] = []): Bytes {
  return encodeDirectoryRecord({ deviceList: signedList, bundles: [bundle.signed, ...others] });
}

/** Tells the app that a user's account key is another one. The id is the same for the same key. */
export function announceKeyChange(context: Context, user: UserId, accountKey: Uint8Array): void {
  const hash = context.crypto.sha256(accountKey);
  context.events.push({ kind: "identity-changed", id: `identity/${user}/${toHex(hash.subarray(0, 8))}`, user });
  wipe(hash);
}
