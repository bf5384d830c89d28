/**
 * Finding a user's keys: in the directory, or, without one, by asking inside the conversation (docs/protocol.md, control frames).
 * Whatever comes back is believed only after its signatures and the rules of device lists held.
 */
import { equal, toBase64url, toHex, wipe, type Bytes } from "../bytes.ts";
import { decodeDirectoryRecord, encodeDirectoryRecord, decodeStockedPreKey, verifyBundle, type DeviceBundle } from "../envelope/bundle.ts";
import { encodeBundleReply, encodeBundleRequest } from "../envelope/control.ts";
import { decodeDeviceList, type DeviceList } from "../envelope/deviceList.ts";
import { MiyuError } from "../errors.ts";
import { verifyPreKeyBundle, type VerifiedPreKeyBundle } from "../protocol/preKeys.ts";
import type { DeviceId, Directory, UserId } from "../transport/types.ts";
import type { Context } from "./context.ts";
import { pause, unlessStopped } from "./stopping.ts";
import type { KnownDevice } from "./deviceLists.ts";
import { RECORDS } from "./naming.ts";
import { getPeer, observeList, putPeer, type Peer } from "./peers.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** How often a peer is asked for keys, and how often a peer's questions are answered: a little more often than they may be asked. */
const QUESTIONS = { gap: MINUTE, perHour: 5 } as const;
const ANSWERS = { gap: MINUTE / 2, perHour: 10 } as const;
/** How long an answer is waited for before the call gives up; the question stays open. */
const REPLY_TIMEOUT = 30_000;
/** Questions open at once; beyond, the oldest is given up. */
const MAX_QUESTIONS = 1_000;

/** Keys of a user, verified. */
export interface FoundKeys {
  readonly peer: Peer;
  readonly bundles: ReadonlyMap<DeviceId, DeviceBundle>;
}

/** Options of {@link KeyExchange.find}. */
export interface FindOptions {
  readonly signal?: AbortSignal | undefined;
  /** False: where the peer itself has to be asked, ask and do not wait. Default true. */
  readonly patient?: boolean;
}

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

/** A question a peer has not answered yet. */
interface Question {
  readonly nonce: Bytes;
  readonly answer: Promise<FoundKeys>;
  readonly settle: (record: Bytes) => void;
}

/** @param ownRecord - the own directory record, freshly signed, for answers */
export function keyExchange(context: Context, ownRecord: () => Promise<Bytes>): KeyExchange {
  const { account, crypto, store, directory } = context;
  const open = new Map<UserId, Question>();
  const questions = rateLimit(context.now, QUESTIONS);
  const answers = rateLimit(context.now, ANSWERS);
  const finding = new Map<UserId, Promise<FoundKeys>>();

  /** Asks the user, or asks again with the same nonce if that is due. */
  async function ask(user: UserId): Promise<Question> {
    const { sendControl } = context;
    if (sendControl === undefined) throw new MiyuError("ERR_NO_SESSION");
    const question = open.get(user) ?? begin(user);
    if (!questions.take(user)) return question;
    try {
      await unlessStopped(context, sendControl(user, encodeBundleRequest(question.nonce)));
    } catch (error) {
      questions.giveBack(user);
      throw error;
    }
    return question;
  }

  function begin(user: UserId): Question {
    const { promise, resolve } = deferred<Bytes>();
    const question: Question = { nonce: context.random(16), answer: promise.then((record) => believe(user, record)), settle: resolve };
    // Not everybody who asked is still waiting.
    question.answer.catch(() => undefined);
    const oldest = open.keys().next();
    if (open.size >= MAX_QUESTIONS && oldest.done !== true) open.delete(oldest.value);
    open.set(user, question);
    return question;
  }

  async function findByAsking(user: UserId, { signal, patient = true }: FindOptions): Promise<FoundKeys> {
    const { answer } = await unlessStopped(context, ask(user), signal);
    if (!patient) throw notYet();
    const giveUp = new AbortController();
    const timeout = pause(REPLY_TIMEOUT, giveUp.signal).then(() => {
      throw notYet();
    });
    timeout.catch(() => undefined);
    try {
      return await unlessStopped(context, Promise.race([answer, timeout]), signal);
    } finally {
      giveUp.abort();
    }
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
      if (directory === undefined) return findByAsking(user, options);
      // Two callers at once share one look-up; each may stop waiting for it by itself.
      let running = finding.get(user);
      if (running === undefined) {
        running = findInDirectory(directory, user).finally(() => finding.delete(user));
        finding.set(user, running);
      }
      return unlessStopped(context, running, options.signal);
    },

    answer: (user) => open.get(user)?.answer,

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
      const { sendControl } = context;
      if (sendControl === undefined || from === account.user || !answers.take(from)) return;
      if (directory === undefined && !(await isKnown(from))) {
        // It is about to write: asked back before it is answered, its keys are here before its message is.
        await ask(from).catch(() => undefined);
      }
      await sendControl(from, encodeBundleReply(nonce, await ownRecord()));
    },

    async onReply(from, nonce, record) {
      const question = open.get(from);
      if (question === undefined || !equal(question.nonce, nonce)) return;
      open.delete(from);
      question.settle(record);
      await question.answer.catch(() => undefined);
    },
  };

  async function isKnown(user: UserId): Promise<boolean> {
    return (await store.transact([RECORDS.peer(user)], (view) => getPeer(view, user))) !== undefined;
  }
}

function notYet(): MiyuError<"ERR_TRANSPORT_UNAVAILABLE"> {
  return new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "the peer has not sent its keys yet", retryAfterMs: MINUTE });
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

/** At most one in `gap` milliseconds and `perHour` in an hour for each user. */
function rateLimit(now: () => number, { gap, perHour }: { readonly gap: number; readonly perHour: number }) {
  const times = new Map<UserId, readonly number[]>();
  return {
    take(user: UserId): boolean {
      const at = now();
      // A clock set back must not lock a peer out: times in the future do not count.
      const recent = (times.get(user) ?? []).filter((time) => time <= at && at - time < HOUR);
      const last = recent.at(-1);
      if (recent.length >= perHour || (last !== undefined && at - last < gap)) return false;
      if (times.size >= 10_000) times.clear();
      times.set(user, [...recent, at]);
      return true;
    },
    /** Undoes the last `take`. */
    giveBack(user: UserId): void {
      times.set(user, (times.get(user) ?? []).slice(0, -1));
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
