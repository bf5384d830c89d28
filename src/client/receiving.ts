/**
 * What arrives: frames are decoded, control frames answered, envelopes opened. A message that does not open becomes a result with a
 * cause; failures are never remembered, so the same frame may succeed later.
 */
import { fromUtf8, toBase64url, utf8 } from "../bytes.ts";
import { decodeFrame, type Frame } from "../envelope/control.ts";
import { fromText, looksLikeMiyuText } from "../envelope/text.ts";
import { MiyuError, type ErrorCode } from "../errors.ts";
import type { InFrame, Transport, UserId } from "../transport/types.ts";
import { getRow, messageOf, putRow } from "./archive.ts";
import type { Context } from "./context.ts";
import { checkOpen, onAbort, pause } from "./stopping.ts";
import type { KeyExchange } from "./keyExchange.ts";
import { RECORDS } from "./naming.ts";
import type { Opener, Opening, OpenOptions } from "./opening.ts";
import type { Cause, Message, Opened, Remedy, Undecryptable } from "./types.ts";

/** Pauses before a frame that has to wait is tried again, milliseconds. */
const RETRY_PAUSES = [2_000, 5_000, 15_000, 60_000, 300_000] as const;
/** Frames that may wait at once; more stay with the server, unacknowledged, until the next connection. */
const MAX_WAITING = 200;

const CAUSES: Partial<Record<ErrorCode, readonly [Cause, Remedy]>> = {
  ERR_DECODE: ["corrupt", "none"],
  ERR_TOO_LARGE: ["corrupt", "none"],
  ERR_DECRYPT: ["corrupt", "none"],
  ERR_VERSION: ["version", "update"],
  ERR_DOWNGRADE: ["version", "none"],
  ERR_NO_SESSION: ["no-session", "none"],
  ERR_NO_PREKEY: ["prekey-gone", "none"],
  ERR_IDENTITY_CHANGED: ["identity-changed", "verify"],
  ERR_DEVICE_LIST: ["device-not-listed", "none"],
  ERR_SIGNATURE: ["device-not-listed", "none"],
  // What was opened before has a row that says so: this one never was, and its key is used up or too far back.
  ERR_DUPLICATE: ["too-old", "none"],
  ERR_TRANSPORT_UNAVAILABLE: ["no-session", "wait"],
  ERR_TRANSPORT_REJECTED: ["no-session", "wait"],
};

/** Takes in what others send. */
export interface Receiver {
  /** See `Client.decrypt`. */
  decrypt(input: { readonly from: UserId; readonly body: Uint8Array | string }, options?: { readonly signal?: AbortSignal }): Promise<Opened>;
  /** Handles frames of `transport` until the client closes. */
  listen(transport: Transport): () => void;
  /** Delivers what was stored and not taken before the last stop. */
  redeliver(): Promise<void>;
  /** Resolves when nothing is being worked on. */
  stopped(): Promise<void>;
}

/** What to do when something was learnt on the way. */
export interface Reactions {
  readonly preKeyUsed: () => void;
  readonly ownListBehind: () => void;
}

/** Makes a receiver. */
export function receiver(context: Context, keys: KeyExchange, open: Opener, reactions: Reactions): Receiver {
  const { store, events, closing } = context;
  const counts = new Map<string, number>();
  const running = new Set<Promise<void>>();
  /** Stored messages the app has and has not taken yet. */
  const delivered = new Set<string>();
  let waiting = 0;

  async function receive(from: UserId, body: Uint8Array | string, options: OpenOptions): Promise<{ opened: Opened; opening?: Opening }> {
    let id = "";
    try {
      const frame = decodeFrame(typeof body === "string" ? fromText(body) : body);
      if (frame.kind !== "envelope") return { opened: await control(from, frame) };
      id = toBase64url(frame.envelope.header.id);
      const opening = await open.open(from, frame.envelope, options);
      note(from, id, opening);
      return { opened: opening.result, opening };
    } catch (error) {
      const verdict = MiyuError.is(error) ? CAUSES[error.code] : undefined;
      if (verdict === undefined) throw error;
      return { opened: undecryptable(id, from, ...verdict) };
    }
  }

  async function control(from: UserId, frame: Exclude<Frame, { kind: "envelope" }>): Promise<Opened> {
    if (frame.kind === "bundle-reply") await keys.onReply(from, frame.nonce, frame.record);
    // An answer that could not be sent is asked for again.
    else await keys.onRequest(from, frame.nonce).catch(() => undefined);
    return { kind: "control", from };
  }

  function note(from: UserId, id: string, opening: Opening): void {
    if (opening.preKey !== undefined) reactions.preKeyUsed();
    if (opening.preKey === "none-used") events.push({ kind: "prekeys", id: `prekeys/${id}`, reason: "no-one-time-key", user: from });
    if (opening.ownListBehind) reactions.ownListBehind();
  }

  function undecryptable(id: string, from: UserId, cause: Cause, remedy: Remedy): Undecryptable {
    const key = `${cause}/${from}`;
    if (counts.size > 10_000) counts.clear();
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    return { kind: "undecryptable", id, from, cause, remedy, count };
  }

  async function handle(frame: InFrame, attempt: number): Promise<void> {
    if (closing.aborted) throw new MiyuError("ERR_CLOSED", { what: "client" });
    const body = textOf(frame.body) ?? frame.body;
    const { opened, opening } = await receive(frame.from, body, { arrivedIn: frame.conversation });
    if (opened.kind === "undecryptable" && opened.remedy === "wait") {
      const retried = retryLater(frame, attempt);
      // Keys are often only a moment away: the app hears of it when the first retry has failed, once.
      if (attempt === 1 || (attempt === 0 && !retried)) events.push(opened);
      return;
    }
    try {
      // What is not forgotten by the server comes again and is known then.
      await frame.ack?.();
    } finally {
      if (opened.kind === "undecryptable") events.push(opened);
      if (opened.kind === "message" && opening?.inInbox === true) deliver(opened);
    }
  }

  /** False if too many wait already. */
  function retryLater(frame: InFrame, attempt: number): boolean {
    if (waiting >= MAX_WAITING) return false;
    waiting++;
    const ms = RETRY_PAUSES[Math.min(attempt, RETRY_PAUSES.length - 1)] ?? 0;
    track(
      pauseOrAnswer(ms, frame.from)
        .finally(() => waiting--)
        .then(() => handle(frame, attempt + 1)),
    );
    return true;
  }

  /** Waits, but no longer than until the peer has sent the keys it was asked for. */
  async function pauseOrAnswer(ms: number, from: UserId): Promise<void> {
    const enough = new AbortController();
    const stop = (): void => enough.abort();
    const forget = onAbort(closing, stop);
    keys.answer(from)?.then(stop, () => undefined);
    await pause(ms, enough.signal).catch(() => undefined);
    forget();
  }

  /** Hands a stored message to the app; its inbox row goes when it is taken. */
  function deliver(message: Message): void {
    const { device } = message.from;
    const key = `${device}/${message.id}`;
    if (delivered.has(key)) return;
    delivered.add(key);
    events.push(message, () => {
      track(taken(device, message.id).finally(() => delivered.delete(key)));
    });
  }

  function taken(device: string, id: string): Promise<void> {
    return store.transact([RECORDS.inbox(device, id), RECORDS.archive(device, id)], (view) => {
      view.remove(RECORDS.inbox(device, id));
      if (context.keepPlaintext) return;
      const row = getRow(view, device, id);
      if (row !== undefined) putRow(view, { ...row, plaintext: undefined });
    });
  }

  function track(task: Promise<void>): void {
    const settled = task
      // What failed here is still in the store or with the server, and comes again.
      .catch(() => undefined)
      .finally(() => running.delete(settled));
    running.add(settled);
  }

  return {
    async decrypt({ from, body }, options = {}) {
      checkOpen(context, options.signal);
      if (typeof from !== "string" || from === "") throw new MiyuError("ERR_USAGE", { reason: "from must name a user" });
      if (typeof body !== "string" && !(body instanceof Uint8Array)) throw new MiyuError("ERR_USAGE", { reason: "body must be bytes or text" });
      return (await receive(from, typeof body === "string" ? body : (textOf(body) ?? body), { signal: options.signal })).opened;
    },
    listen: (transport) =>
      transport.subscribe((frame) => {
        const task = handle(frame, 0);
        track(task);
        return task;
      }),
    async redeliver() {
      const messages = [];
      for (const { id: key } of await store.list("inbox")) {
        const [device = "", id = ""] = key.split("/");
        const row = await store.transact([RECORDS.archive(device, id)], (view) => getRow(view, device, id));
        const message = row && messageOf(row);
        if (row !== undefined && message !== undefined) messages.push({ message, sequence: row.sequence });
      }
      for (const { message } of messages.sort((a, b) => a.sequence - b.sequence)) deliver(message);
    },
    async stopped() {
      while (running.size > 0) await Promise.allSettled([...running]);
    },
  };
}

/** The text in a frame's body, if it is one of ours in text form. */
function textOf(body: Uint8Array): string | undefined {
  const prefix = utf8("miyu");
  if (body.length < prefix.length || prefix.some((byte, i) => body[i] !== byte)) return undefined;
  try {
    const text = fromUtf8(body);
    return looksLikeMiyuText(text) ? text : undefined;
  } catch {
    return undefined;
  }
}
