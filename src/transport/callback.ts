/**
 * The five-minute path: any IM that can send a text and tells you when one arrives becomes a transport.
 *
 * ```ts
 * const adapter = callbackAdapter({
 *   self: im.myUserId,
 *   send: async (to, text) => { await im.sendText(to, text); },
 * });
 * im.on("text", (m) => { if (!adapter.receive({ from: m.sender, text: m.text, id: m.id })) showPlain(m); });
 * const client = await createClient({ user: im.myUserId, adapter });
 * ```
 *
 * Every default assumes the least of the IM: no order, no copies to own devices, no memory of keys. Say more in `caps` where it is true.
 */
import { copy, fromUtf8, utf8 } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import { deliveryQueue, stateSource, untilAborted } from "./delivery.ts";
import type { Adapter, BlobStore, Dest, Directory, GroupId, InFrame, Membership, OutFrame, Sent, Transport, TransportCaps, UserId } from "./types.ts";

/** What every text of ours begins with. */
const TEXT_PREFIX = "miyu1.";

/** A message of the IM, on its way in. Give `text` or `body`. */
export interface IncomingMessage {
  /** Who sent it, by the IM's word. */
  readonly from: UserId;
  /** The text as it came. Anything that does not begin with `miyu1.` is not ours. */
  readonly text?: string;
  /** The bytes as they came, for `caps.payload: "bytes"`. */
  readonly body?: Uint8Array;
  /** Who it was sent to, for copies of what this user sent from another device. */
  readonly to?: UserId;
  /** The group it came in, if it did. */
  readonly group?: GroupId;
  /** The IM's id of the message. */
  readonly id?: string;
  /** The IM's time, milliseconds since 1970. */
  readonly at?: number;
  /** Why it came, if you know: `echo` of this device's own send, copy from an `own-device`, or `history`. */
  readonly replay?: NonNullable<InFrame["replay"]>;
  /** The IM's message object, passed through to events. */
  readonly raw?: unknown;
  /** Called once the message is durably stored, for IMs that want to be told. */
  ack?(): void | Promise<void>;
}

/** Pushes a message in. Returns whether it is ours; if false, show it as you always did. */
export type Receive = (message: IncomingMessage) => boolean;

/** What {@link callbackAdapter} takes. */
export interface CallbackAdapterOptions {
  /** The signed-in user's id in the IM. */
  readonly self: UserId;
  /**
   * Sends `text` to `to` (a user, or a group where `caps.dests` has groups) and resolves when the IM accepted it.
   * With `caps.payload: "bytes"` send `frame.body`; `text` is then empty. `frame.key` is the same on every resend and
   * `frame.class` is `control` where nothing should be shown.
   *
   * Anything it throws means "try again later", except a `MiyuError` of its own: throw ERR_TRANSPORT_REJECTED where the IM refused.
   */
  send(to: string, text: string, frame: OutFrame): Promise<Sent | void>;
  /** Called once with {@link CallbackAdapter.receive}, for IMs whose listener is registered by a function. What it returns is called on close. */
  onMessage?(push: Receive): void | (() => void);
  /** What the IM can do beyond the defaults, e.g. `{ maxPayload: 5000, ownCopy: "other-devices" }`. */
  readonly caps?: Partial<TransportCaps>;
  readonly directory?: Directory;
  readonly membership?: Membership;
  readonly blobs?: BlobStore;
}

/** An {@link Adapter} with the call that takes messages in. */
export interface CallbackAdapter extends Adapter {
  readonly transport: Transport & Required<Pick<Transport, "close">>;
  /**
   * Takes an incoming message and returns whether it is ours. Messages wait here, in order, until the client has subscribed.
   * @throws {MiyuError} ERR_USAGE if neither `text` nor `body` is given
   */
  readonly receive: Receive;
  /** Tells the client that the IM went offline or is back; until the first call it counts as online. */
  setState(state: "online" | "offline"): void;
}

/** What is assumed of an IM nobody said more about. */
const LEAST: TransportCaps = {
  payload: "text",
  maxPayload: 65_536,
  dests: ["user"],
  ownCopy: "none",
  offline: "none",
  order: "none",
  idempotentSend: false,
};

/** Pauses before a frame that could not be stored is offered to the client again. */
const RETRY_MS = [250, 1_000, 5_000];

/**
 * Wraps two callbacks of an IM as an {@link Adapter}.
 *
 * Frames of one `receive` order reach the client in that order, one at a time. If the client cannot store a frame it is offered
 * three times more; then it is dropped here and its `ack` stays uncalled.
 */
export function callbackAdapter(options: CallbackAdapterOptions): CallbackAdapter {
  const { self, directory, membership, blobs } = options;
  const caps: TransportCaps = { ...LEAST, ...options.caps };
  const queue = deliveryQueue(RETRY_MS);
  const state = stateSource("online");
  let closed = false;

  const receive: Receive = (message) => {
    const body = bodyOf(message);
    if (body === undefined || closed) return false;
    const { from, to, group, id, at, replay, raw } = message;
    void queue.push({
      from,
      conversation: group === undefined ? { kind: "direct", peer: from === self ? (to ?? self) : from } : { kind: "group", group },
      body,
      ...(id === undefined ? {} : { id }),
      ...(at === undefined ? {} : { at }),
      ...(replay === undefined ? {} : { replay }),
      ...(raw === undefined ? {} : { raw }),
      ack: () => message.ack?.(),
    });
    return true;
  };

  const transport: CallbackAdapter["transport"] = {
    self,
    caps,
    async send(frame, { signal } = {}) {
      if (closed) throw new MiyuError("ERR_CLOSED", { what: "transport" });
      if (signal?.aborted === true) throw new MiyuError("ERR_ABORTED");
      if (!caps.dests.includes(frame.dest.kind)) throw new MiyuError("ERR_TRANSPORT_REJECTED", { reason: `no ${frame.dest.kind} destinations` });
      if (frame.body.length > caps.maxPayload) throw new MiyuError("ERR_TOO_LARGE", { size: frame.body.length, limit: caps.maxPayload });
      const text = caps.payload === "text" ? fromUtf8(frame.body, "text frame") : "";
      return (await untilAborted(callSend(frame, text), signal)) ?? {};
    },
    subscribe(on) {
      if (closed) throw new MiyuError("ERR_CLOSED", { what: "transport" });
      return queue.subscribe(on);
    },
    onState: (on) => state.on(on),
    async close() {
      if (closed) return;
      closed = true;
      queue.close();
      state.set("offline");
      if (typeof unregister === "function") unregister();
      return Promise.resolve();
    },
  };

  async function callSend(frame: OutFrame, text: string): Promise<Sent | void> {
    try {
      return await options.send(addressOf(frame.dest), text, frame);
    } catch (cause) {
      if (MiyuError.is(cause)) throw cause;
      throw new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "send failed" }, { cause });
    }
  }

  const unregister = options.onMessage?.(receive);
  return {
    transport,
    ...(directory === undefined ? {} : { directory }),
    ...(membership === undefined ? {} : { membership }),
    ...(blobs === undefined ? {} : { blobs }),
    receive,
    setState: (next) => {
      if (!closed) state.set(next);
    },
  };
}

/** The bytes of a message of ours, or undefined if it is somebody else's text. */
function bodyOf(message: IncomingMessage): Uint8Array | undefined {
  if (message.body !== undefined) return copy(message.body);
  if (message.text === undefined) throw new MiyuError("ERR_USAGE", { reason: "a received message has text or body" });
  const text = message.text.trim();
  return text.startsWith(TEXT_PREFIX) ? utf8(text) : undefined;
}

function addressOf(dest: Dest): string {
  return dest.kind === "group" || dest.kind === "members" ? dest.group : dest.user;
}
