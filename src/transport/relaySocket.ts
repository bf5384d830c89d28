/**
 * The WebSocket of one device to a relay, kept open: hello, heartbeat, reconnection with exponential back-off and full jitter,
 * sends that stay pending until the relay accepted or refused them, deliveries in order and their acknowledgements.
 */
import { copy, type Bytes } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import { deliveryQueue, stateSource, untilAborted, type Subscriber } from "./delivery.ts";
import {
  decodeServerFrame,
  encodeClientFrame,
  idBytes,
  MAX_ACKS,
  RELAY_CLOSE,
  type Parcel,
  type RelayDest,
  type ServerFrame,
} from "./relayFrames.ts";
import type { DeviceId, FrameClass, InFrame, Sent, UserId } from "./types.ts";

/** What is used of a WebSocket; the browser's and that of the package `ws` fit. */
export interface WebSocketLike {
  binaryType: string;
  send(bytes: Bytes): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "open", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { readonly code: number }) => void): void;
  addEventListener(type: "error", listener: () => void): void;
}

/** Makes a socket. */
export type WebSocketConstructor = new (url: string) => WebSocketLike;

/** What {@link relaySocket} takes; all of it decided by the adapter. */
export interface RelaySocketOptions {
  readonly url: string;
  readonly user: UserId;
  readonly token: () => string | Promise<string>;
  /** Whether a refused token may be followed by a better one. */
  readonly tokenChanges: boolean;
  readonly findWebSocket: () => Promise<WebSocketConstructor>;
  readonly random: () => number;
  /** Milliseconds. */
  readonly backoff: { readonly baseMs: number; readonly maxMs: number };
  readonly heartbeatMs: number;
  readonly maxPending: number;
}

/** One frame to send. */
export interface RelaySend {
  readonly key: string;
  readonly dest: RelayDest;
  readonly class: FrameClass;
  readonly body: Uint8Array;
}

/** The connection of one device. */
export interface RelaySocket {
  /** Names the device and connects; a second call with the same name does nothing. @throws {MiyuError} ERR_USAGE for another one */
  attach(device: DeviceId): void;
  readonly attached: boolean;
  /** Resolves when the relay accepted the frame, however many connections that takes. */
  send(frame: RelaySend, signal: AbortSignal | undefined): Promise<Sent>;
  subscribe(on: Subscriber): () => void;
  onState(on: (state: "online" | "offline") => void): () => void;
  pause(): void;
  resume(): void;
  close(): Promise<void>;
}

interface Pending {
  readonly request: number;
  readonly frame: RelaySend;
  readonly result: Promise<Sent>;
  readonly resolve: (sent: Sent) => void;
  readonly reject: (error: MiyuError) => void;
  /** Callers that still wait. */
  waiting: number;
}

/** A mailbox id that says "I know none". */
const NO_MAILBOX = "A".repeat(22);
/** Pauses before a frame whose subscriber failed is offered again. */
const RETRY_MS = [200, 1_000, 5_000];
const CONNECT_TIMEOUT_MS = 15_000;
const CLOSE_GRACE_MS = 1_000;

/** A connection that opens at the first `attach`. */
export function relaySocket(options: RelaySocketOptions): RelaySocket {
  const queue = deliveryQueue(RETRY_MS);
  const state = stateSource("offline");
  const pending = new Map<string, Pending>();
  let device: DeviceId | undefined;
  let socket: WebSocketLike | undefined;
  let connecting = false;
  let fatal: MiyuError | undefined;
  let paused = false;
  let closed = false;
  let attempt = 0;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let watchdog: ReturnType<typeof setInterval> | undefined;
  let silent = false;
  let nextRequest = 1;
  let nonce = 0;
  let maxBody = Infinity;
  // Of the mailbox: its id, the highest sequence received, the highest settled, what was acknowledged lately and what not yet told.
  let mailbox = NO_MAILBOX;
  let received = 0;
  let settled = 0;
  let lately: number[] = [];
  let untold: number[] = [];
  let telling = false;

  /** Lets go of the present socket; whatever it says from now on is not heard. */
  function drop(code?: number): void {
    const old = socket;
    socket = undefined;
    clearInterval(watchdog);
    state.set("offline");
    try {
      old?.close(code);
    } catch {
      // A socket that never opened may refuse to close; it is not listened to any more.
    }
  }

  function fail(error: MiyuError): void {
    fatal = error;
    drop();
    for (const one of [...pending.values()]) one.reject(error);
    pending.clear();
  }

  function connectSoon(): void {
    if (closed || paused || fatal !== undefined || device === undefined) return;
    stopRetry();
    const ceiling = Math.min(options.backoff.maxMs, options.backoff.baseMs * 2 ** attempt);
    attempt = Math.min(attempt + 1, 30);
    retry = setTimeout(connectNow, Math.floor(options.random() * ceiling));
  }

  function stopRetry(): void {
    clearTimeout(retry);
    retry = undefined;
  }

  function connectNow(): void {
    stopRetry();
    if (closed || paused || fatal !== undefined || device === undefined || socket !== undefined || connecting) return;
    connecting = true;
    open(device)
      .catch((error: unknown) => {
        if (MiyuError.is(error, "ERR_USAGE")) fail(error);
        else connectSoon();
      })
      .finally(() => {
        connecting = false;
        if (socket === undefined && retry === undefined) connectNow();
      });
  }

  async function open(as: DeviceId): Promise<void> {
    const [Socket, token] = [await options.findWebSocket(), await options.token()];
    if (closed || paused) return;
    const fresh = new Socket(options.url);
    socket = fresh;
    fresh.binaryType = "arraybuffer";
    const current = (): boolean => socket === fresh;
    const timer = setTimeout(() => {
      if (current()) lost();
    }, CONNECT_TIMEOUT_MS);
    const lost = (code?: number): void => {
      clearTimeout(timer);
      drop();
      closedBecause(code);
    };
    fresh.addEventListener("open", () => {
      if (current()) fresh.send(encodeClientFrame({ kind: "hello", token, device: as, mailbox, cursor: received }));
    });
    fresh.addEventListener("message", ({ data }) => {
      if (!current()) return;
      silent = false;
      try {
        if (!(data instanceof ArrayBuffer)) throw new MiyuError("ERR_DECODE", { what: "relay frame" });
        const frame = decodeServerFrame(new Uint8Array(data));
        if (frame.kind === "welcome") clearTimeout(timer);
        take(frame);
      } catch (error) {
        if (MiyuError.is(error, "ERR_VERSION")) fail(new MiyuError("ERR_TRANSPORT_REJECTED", { reason: "the relay speaks another version" }));
        else if (current()) lost();
      }
    });
    fresh.addEventListener("close", ({ code }) => {
      clearTimeout(timer);
      if (current()) lost(code);
    });
    // Followed by "close", which decides.
    fresh.addEventListener("error", () => undefined);
  }

  function closedBecause(code: number | undefined): void {
    const rejected = (reason: string): void => {
      fail(new MiyuError("ERR_TRANSPORT_REJECTED", { reason }));
    };
    if (code === RELAY_CLOSE.unauthorised && !options.tokenChanges) rejected("unauthorised");
    else if (code === RELAY_CLOSE.version) rejected("the relay speaks another version");
    else if (code === RELAY_CLOSE.devices) rejected("too many devices");
    // Another window has this device now: taking it back at once would only start a quarrel. A send does.
    else if (code !== RELAY_CLOSE.replaced || pending.size > 0) connectSoon();
  }

  function take(frame: ServerFrame): void {
    // A welcome alone proves little: a relay that fails right after it is asked ever more rarely.
    if (frame.kind !== "welcome") attempt = 0;
    if (frame.kind === "welcome") welcome(frame);
    else if (frame.kind === "deliver") deliver(frame.sequence, frame.parcel);
    else if (frame.kind !== "pong") {
      const one = [...pending.values()].find(({ request }) => request === frame.request);
      if (one === undefined) return;
      pending.delete(one.frame.key);
      if (frame.kind === "accepted") one.resolve({ id: frame.id, at: frame.at });
      else one.reject(refusal(frame, one.frame.body.length));
    }
  }

  function welcome(frame: Extract<ServerFrame, { kind: "welcome" }>): void {
    if (frame.user !== options.user) {
      fail(new MiyuError("ERR_TRANSPORT_REJECTED", { reason: "the token belongs to another user" }));
      return;
    }
    if (frame.mailbox !== mailbox) {
      mailbox = frame.mailbox;
      [received, settled, lately, untold] = [0, 0, [], []];
    }
    maxBody = frame.maxBody;
    silent = false;
    clearInterval(watchdog);
    watchdog = setInterval(beat, options.heartbeatMs);
    // Acknowledgements that the last connection may have swallowed; more than a window of them cannot be missing.
    untold = [...new Set([...lately, ...untold])];
    tell();
    for (const one of [...pending.values()]) transmit(one);
    state.set("online");
  }

  function beat(): void {
    if (silent) {
      drop();
      connectSoon();
      return;
    }
    silent = true;
    socket?.send(encodeClientFrame({ kind: "ping", nonce: nonce++ % 2 ** 32 }));
  }

  function deliver(sequence: number, parcel: Parcel): void {
    if (sequence <= received) return;
    received = sequence;
    const from = mailbox;
    let taken = false;
    let acked = false;
    let told = false;
    const tellOnce = (): void => {
      if (!taken || !acked || told || mailbox !== from) return;
      told = true;
      lately = [...lately, sequence].slice(-MAX_ACKS);
      untold.push(sequence);
      tellSoon();
    };
    const frame: InFrame = {
      from: parcel.from,
      conversation: { kind: "direct", peer: parcel.from === options.user ? parcel.to : parcel.from },
      body: parcel.body,
      id: parcel.id,
      at: parcel.at,
      ...(parcel.from === options.user ? { replay: "own-device" } : {}),
      ack() {
        acked = true;
        tellOnce();
      },
    };
    void queue.push(frame).then((was) => {
      taken = was;
      if (mailbox === from) settled = Math.max(settled, sequence);
      tellOnce();
      tellSoon();
    });
  }

  function tellSoon(): void {
    if (telling) return;
    telling = true;
    queueMicrotask(() => {
      telling = false;
      tell();
    });
  }

  /** Tells the relay what is settled here and what it may forget; without a connection it waits for the next one. */
  function tell(): void {
    if (socket === undefined || mailbox === NO_MAILBOX || closed) return;
    do socket.send(encodeClientFrame({ kind: "ack", cursor: settled, sequences: untold.splice(0, MAX_ACKS) }));
    while (untold.length > 0);
  }

  function transmit({ request, frame, reject }: Pending): void {
    if (frame.body.length > maxBody) {
      pending.delete(frame.key);
      reject(new MiyuError("ERR_TOO_LARGE", { size: frame.body.length, limit: maxBody }));
    } else socket?.send(encodeClientFrame({ kind: "send", request, ...frame }));
  }

  function enqueue(frame: RelaySend): Pending {
    let [resolve, reject] = [(_: Sent): void => undefined, (_: MiyuError): void => undefined];
    const result = new Promise<Sent>((yes, no) => {
      [resolve, reject] = [yes, no];
    });
    const fresh: Pending = { request: nextRequest, frame: { ...frame, body: copy(frame.body) }, result, resolve, reject, waiting: 0 };
    nextRequest = (nextRequest % 0xffffffff) + 1;
    pending.set(frame.key, fresh);
    if (state.present === "online") transmit(fresh);
    else if (socket === undefined && retry === undefined) connectNow();
    return fresh;
  }

  const comeBack = (): void => {
    attempt = 0;
    connectNow();
  };
  const page = globalThis as { addEventListener?(type: string, on: () => void): void; removeEventListener?(type: string, on: () => void): void };

  return {
    get attached() {
      return device !== undefined;
    },
    attach(id) {
      if (device === id) return;
      if (device !== undefined) throw new MiyuError("ERR_USAGE", { reason: "this transport belongs to another device" });
      idBytes(id);
      device = id;
      page.addEventListener?.("online", comeBack);
      connectNow();
    },
    async send(frame, signal) {
      if (closed) throw new MiyuError("ERR_CLOSED", { what: "transport" });
      if (signal?.aborted === true) throw new MiyuError("ERR_ABORTED");
      if (fatal !== undefined) throw fatal;
      const known = pending.get(frame.key);
      if (known === undefined && pending.size >= options.maxPending) throw new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "too many sends wait" });
      const one = known ?? enqueue(frame);
      one.waiting++;
      try {
        return await untilAborted(one.result, signal);
      } finally {
        // Given up by everybody: it is not sent again. The relay may have it already.
        if (--one.waiting === 0 && pending.get(frame.key) === one) pending.delete(frame.key);
      }
    },
    subscribe: (on) => queue.subscribe(on),
    onState: (on) => state.on(on),
    pause() {
      paused = true;
      stopRetry();
      drop();
    },
    resume() {
      if (!paused) return;
      paused = false;
      comeBack();
    },
    async close() {
      if (closed) return;
      const last = socket;
      if (state.present === "online") tell();
      closed = true;
      stopRetry();
      page.removeEventListener?.("online", comeBack);
      queue.close();
      for (const one of [...pending.values()]) one.reject(new MiyuError("ERR_CLOSED", { what: "transport" }));
      pending.clear();
      const gone = new Promise<void>((resolve) => {
        if (last === undefined) resolve();
        else {
          const timer = setTimeout(resolve, CLOSE_GRACE_MS);
          last.addEventListener("close", () => {
            clearTimeout(timer);
            resolve();
          });
        }
      });
      drop(1000);
      await gone;
    },
  };
}

function refusal(frame: Extract<ServerFrame, { kind: "refused" }>, size: number): MiyuError {
  const { why, reason, retryAfterMs, limit } = frame;
  if (why === "too-large") return new MiyuError("ERR_TOO_LARGE", { size, limit });
  if (why === "rejected") return new MiyuError("ERR_TRANSPORT_REJECTED", { reason });
  return new MiyuError("ERR_TRANSPORT_UNAVAILABLE", retryAfterMs > 0 ? { reason, retryAfterMs } : { reason });
}
