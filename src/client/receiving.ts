/**
 * What arrives: frames are decoded, control frames answered, envelopes opened. A message that does not open becomes a result with a
 * cause; failures are never remembered, so the same frame may succeed later.
 */
import { fromUtf8, toBase64url, utf8, wipe } from "../bytes.ts";
import { decodeFrame, type Frame } from "../envelope/control.ts";
import { fromText, looksLikeMiyuText } from "../envelope/text.ts";
import { MiyuError, type ErrorCode } from "../errors.ts";
import type { InFrame, Transport, UserId } from "../transport/types.ts";
import { decodeRow, getRow, messageOf, putRow } from "./archive.ts";
import { checkOpen, pause, type Context } from "./context.ts";
import type { KeyExchange } from "./keyExchange.ts";
import { RECORDS } from "./naming.ts";
import type { Opener, Opening } from "./opening.ts";
import type { Cause, ClientEvent, Opened, Remedy, Undecryptable } from "./types.ts";

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
  let waiting = 0;

  async function receive(from: UserId, body: Uint8Array | string, intoInbox: boolean, signal?: AbortSignal): Promise<{ opened: Opened; opening?: Opening }> {
    let id = "";
    try {
      const frame = decodeFrame(typeof body === "string" ? fromText(body) : body);
      if (frame.kind !== "envelope") return { opened: await control(from, frame) };
      id = toBase64url(frame.envelope.header.id);
      const opening = await open.open(from, frame.envelope, intoInbox, signal);
      note(from, id, opening);
      return { opened: opening.result, opening };
    } catch (error) {
      if (MiyuError.is(error, "ERR_DUPLICATE")) return { opened: { kind: "duplicate", id, from } };
      const verdict = MiyuError.is(error) ? CAUSES[error.code] : undefined;
      if (verdict === undefined) throw error;
      return { opened: undecryptable(id, from, ...verdict) };
    }
  }

  async function control(from: UserId, frame: Exclude<Frame, { kind: "envelope" }>): Promise<Opened> {
    if (frame.kind === "bundle-reply") keys.onReply(from, frame.nonce, frame.record);
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
    const { opened, opening } = await receive(frame.from, body, true);
    if (opened.kind === "undecryptable" && opened.remedy === "wait") {
      if (attempt === 0) events.push(opened);
      retryLater(frame, attempt);
      return;
    }
    await frame.ack?.();
    if (opened.kind === "undecryptable") events.push(opened);
    if (opened.kind === "message" && opening?.sequence !== undefined) deliver(opened);
  }

  function retryLater(frame: InFrame, attempt: number): void {
    if (waiting >= MAX_WAITING) return;
    waiting++;
    const ms = RETRY_PAUSES[Math.min(attempt, RETRY_PAUSES.length - 1)] ?? 0;
    track(
      pause(ms, closing)
        .finally(() => waiting--)
        .then(() => handle(frame, attempt + 1)),
    );
  }

  /** Hands a stored message to the app; its inbox row goes when it is taken. */
  function deliver(message: Extract<ClientEvent, { kind: "message" }>): void {
    events.push(message, () => {
      track(taken(message.from.device, message.id));
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
      return (await receive(from, typeof body === "string" ? body : (textOf(body) ?? body), false, options.signal)).opened;
    },
    listen: (transport) => transport.subscribe((frame) => handle(frame, 0)),
    async redeliver() {
      const rows = await store.list("inbox");
      const keysOf = rows.map(({ id }) => id.split("/") as [string, string]);
      const messages = [];
      for (const [device, id] of keysOf) {
        const bytes = await store.transact([RECORDS.archive(device, id)], (view) => view.get(RECORDS.archive(device, id)));
        const row = bytes && decodeRow(bytes, device, id);
        const message = row && messageOf(row);
        if (row !== undefined && message !== undefined) messages.push({ message, sequence: row.sequence });
        wipe(bytes);
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
