/**
 * Keys asked for inside the conversation (docs/protocol.md, control frames): for clients without a directory, and for those who ask
 * them. Loaded when the first question is asked or arrives. What comes back is believed by the key exchange or not at all.
 */
import { equal, type Bytes } from "../bytes.ts";
import type { DeviceBundle } from "../envelope/bundle.ts";
import { encodeBundleReply, encodeBundleRequest } from "../envelope/control.ts";
import { MiyuError } from "../errors.ts";
import type { DeviceId, UserId } from "../transport/types.ts";
import type { Context } from "./context.ts";
import { RECORDS } from "./naming.ts";
import { getPeer, type Peer } from "./peers.ts";
import { pause, unlessStopped } from "./stopping.ts";

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

/** Options of `KeyExchange.find`. */
export interface FindOptions {
  readonly signal?: AbortSignal | undefined;
  /** False: where the peer itself has to be asked, ask and do not wait. Default true. */
  readonly patient?: boolean;
}

/** Asks and answers. */
export interface InBand {
  /** Asks the user and waits for the answer. @throws {MiyuError} ERR_NO_SESSION if there is no way to ask, ERR_TRANSPORT_UNAVAILABLE, ERR_ABORTED, and what `believe` says */
  find(user: UserId, options: FindOptions): Promise<FoundKeys>;
  /** Settles when the user has answered an open question; undefined if there is none. */
  answer(user: UserId): Promise<unknown> | undefined;
  /** Answers a request, within limits. */
  onRequest(from: UserId, nonce: Bytes): Promise<void>;
  /** Takes an answer that was asked for. Resolves when its list is remembered; an answer that is not believed changes nothing. */
  onReply(from: UserId, nonce: Bytes, record: Bytes): Promise<void>;
}

/** What asking works with. */
export interface InBandParts {
  readonly context: Context;
  /** The own directory record, freshly signed. */
  readonly ownRecord: () => Promise<Bytes>;
  /** Verifies a record and remembers its list. */
  readonly believe: (user: UserId, record: Uint8Array) => Promise<FoundKeys>;
}

/** A question a peer has not answered yet. */
interface Question {
  readonly nonce: Bytes;
  readonly answer: Promise<FoundKeys>;
  readonly settle: (record: Bytes) => void;
}

/** Makes one; it remembers what it asked and whom it answered. */
export function inBand({ context, ownRecord, believe }: InBandParts): InBand {
  const { account, store, directory } = context;
  const open = new Map<UserId, Question>();
  const questions = rateLimit(context.now, QUESTIONS);
  const answers = rateLimit(context.now, ANSWERS);

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

  async function find(user: UserId, { signal, patient = true }: FindOptions): Promise<FoundKeys> {
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

  async function isKnown(user: UserId): Promise<boolean> {
    return (await store.transact([RECORDS.peer(user)], (view) => getPeer(view, user))) !== undefined;
  }

  return {
    find,
    answer: (user) => open.get(user)?.answer,

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
}

function notYet(): MiyuError<"ERR_TRANSPORT_UNAVAILABLE"> {
  return new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "the peer has not sent its keys yet", retryAfterMs: MINUTE });
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
