/**
 * Finding a user's keys: in the directory, or, without one, by asking inside the conversation (docs/protocol.md, control frames).
 * Whatever comes back is believed only after its signatures and the rules of device lists held.
 */
import { toBase64url, toHex, wipe, type Bytes } from "../bytes.ts";
import { decodeDirectoryRecord, encodeDirectoryRecord, decodeStockedPreKey, verifyBundle, type DeviceBundle } from "../envelope/bundle.ts";
import { encodeBundleReply, encodeBundleRequest } from "../envelope/control.ts";
import { decodeDeviceList, type DeviceList } from "../envelope/deviceList.ts";
import { MiyuError } from "../errors.ts";
import { verifyPreKeyBundle, type VerifiedPreKeyBundle } from "../protocol/preKeys.ts";
import type { DeviceId, UserId } from "../transport/types.ts";
import { unlessStopped, type Context } from "./context.ts";
import type { KnownDevice } from "./deviceLists.ts";
import { RECORDS } from "./naming.ts";
import { getPeer, observeList, putPeer, type Peer } from "./peers.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** How often a peer is asked for keys, and how often a peer's question is answered. */
const PER_HOUR = 5;
/** How long an answer is waited for before the call gives up (the outbox asks again). */
const REPLY_TIMEOUT = 30_000;

/** Keys of a user, verified. */
export interface FoundKeys {
  readonly peer: Peer;
  readonly bundles: ReadonlyMap<DeviceId, DeviceBundle>;
}

/** Finds keys and answers those who look for ours. */
export interface KeyExchange {
  /**
   * Reads the user's record and remembers its list.
   * @throws {MiyuError} ERR_NO_SESSION if there is none, ERR_TRANSPORT_UNAVAILABLE, ERR_SIGNATURE, ERR_DEVICE_LIST, ERR_DECODE, ERR_VERSION, ERR_ABORTED
   */
  find(user: UserId, signal?: AbortSignal): Promise<FoundKeys>;
  /** Turns a verified bundle into one a session can start from, with a one-time prekey if the directory has one left. */
  claim(user: UserId, entry: KnownDevice, bundle: DeviceBundle, signal?: AbortSignal): Promise<VerifiedPreKeyBundle>;
  /** Answers a request, within limits. */
  onRequest(from: UserId, nonce: Bytes): Promise<void>;
  /** Takes an answer that was asked for. */
  onReply(from: UserId, nonce: Bytes, record: Bytes): void;
}

/** @param ownRecord - the own directory record, freshly signed, for answers */
export function keyExchange(context: Context, ownRecord: () => Promise<Bytes>): KeyExchange {
  const { account, crypto, store, directory } = context;
  const asked = new Map<UserId, { readonly nonce: string; readonly reply: Promise<Bytes>; readonly settle: (record: Bytes) => void }>();
  const questions = rateLimit(context.now);
  const answers = rateLimit(context.now);
  const finding = new Map<UserId, Promise<FoundKeys>>();

  async function readRecord(user: UserId, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    if (directory !== undefined) return (await directory.read(user, signal === undefined ? {} : { signal }))?.record;
    return unlessStopped(context, ask(user), signal);
  }

  async function ask(user: UserId): Promise<Bytes> {
    const { sendControl } = context;
    if (sendControl === undefined) throw new MiyuError("ERR_NO_SESSION");
    let question = asked.get(user);
    if (question === undefined) {
      if (!questions.take(user)) throw new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "keys were asked for too often", retryAfterMs: MINUTE });
      const nonce = context.random(16);
      const { promise, resolve } = deferred<Bytes>();
      question = { nonce: toHex(nonce), reply: promise, settle: resolve };
      asked.set(user, question);
      await sendControl(user, encodeBundleRequest(nonce)).catch((error: unknown) => {
        asked.delete(user);
        throw error;
      });
    }
    const { reply } = question;
    return new Promise<Bytes>((resolve, reject) => {
      const timer = setTimeout(() => {
        asked.delete(user);
        reject(new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "the peer has not sent its keys yet", retryAfterMs: MINUTE }));
      }, REPLY_TIMEOUT);
      void reply.then((record) => {
        clearTimeout(timer);
        resolve(record);
      });
    });
  }

  async function findOnce(user: UserId, signal?: AbortSignal): Promise<FoundKeys> {
    const record = await readRecord(user, signal);
    if (record === undefined) throw new MiyuError("ERR_NO_SESSION");
    const { deviceList, bundles } = decodeDirectoryRecord(record);
    const list = decodeDeviceList(crypto, deviceList);
    const peer = await remember(user, list);
    return { peer, bundles: verifiedBundles(user, list, bundles) };
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
      const observation = observeList(crypto, getPeer(view, user), list, user, Math.max(0, context.now()));
      putPeer(view, user, observation.peer);
      return observation;
    });
    if (keyChanged) announceKeyChange(context, user, list.accountKey);
    return peer;
  }

  return {
    find(user, signal) {
      // Two callers at once share one look-up; each may stop waiting for it by itself.
      let running = finding.get(user);
      if (running === undefined) {
        running = findOnce(user).finally(() => finding.delete(user));
        finding.set(user, running);
      }
      return unlessStopped(context, running, signal);
    },

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

    async onRequest(from, nonce) {
      if (context.sendControl === undefined || from === account.user || !answers.take(from)) return;
      await context.sendControl(from, encodeBundleReply(nonce, await ownRecord()));
    },

    onReply(from, nonce, record) {
      const question = asked.get(from);
      if (question?.nonce !== toHex(nonce)) return;
      asked.delete(from);
      question.settle(record);
    },
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

/** At most one a minute and five an hour for each user. */
function rateLimit(now: () => number): { take(user: UserId): boolean } {
  const times = new Map<UserId, number[]>();
  return {
    take(user) {
      const at = now();
      // A clock set back must not lock a peer out: times in the future do not count.
      const recent = (times.get(user) ?? []).filter((time) => time <= at && at - time < HOUR);
      const last = recent.at(-1);
      if (recent.length >= PER_HOUR || (last !== undefined && at - last < MINUTE)) return false;
      if (times.size >= 10_000) times.clear();
      times.set(user, [...recent, at]);
      return true;
    },
  };
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
