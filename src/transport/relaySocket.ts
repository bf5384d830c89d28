/**
 * The WebSocket of one device to a relay, kept open: hello, heartbeat, reconnection with exponential back-off and full jitter,
 * and sends that stay pending until the relay accepted or refused them. What comes in goes to the inbox.
 */
import { copy, type Bytes } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import { stateSource, untilAborted, type Subscriber } from "./delivery.ts";
import { decodeServerFrame, encodeClientFrame, idBytes, RELAY_CLOSE, type RelayDest, type ServerFrame } from "./relayFrames.ts";
import { relayInbox } from "./relayInbox.ts";
import type { DeviceId, FrameClass, Sent, UserId } from "./types.ts";

/** What is used of a WebSocket; the browser's and that of the package `ws` fit. */
export interface WebSocketLike {
  /** Set to `arraybuffer` by the adapter. */
  binaryType: string;
  /** Sends one binary message. */
  send(bytes: Bytes): void;
  /** Begins to close. */
  close(code?: number, reason?: string): void;
  /** Calls `listener` when the socket opened, or failed. */
  addEventListener(type: "open" | "error", listener: () => void): void;
  /** Calls `listener` with every message. */
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  /** Calls `listener` when the socket is closed. */
  addEventListener(type: "close", listener: (event: { readonly code: number }) => void): void;
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

const CONNECT_TIMEOUT_MS = 15_000;
const CLOSE_GRACE_MS = 1_000;

/** A connection that opens at the first `attach`. */
export function relaySocket(options: RelaySocketOptions): RelaySocket {
  const inbox = relayInbox(options.user, (frame) => {
    // Before its welcome a socket takes nothing but the hello.
    if (!welcomed || closed) return false;
    socket?.send(encodeClientFrame(frame));
    return true;
  });
  const state = stateSource("offline");
  const pending = new Map<string, Pending>();
  let device: DeviceId | undefined;
  let socket: WebSocketLike | undefined;
  let welcomed = false;
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

  /** Lets go of the present socket; whatever it says from now on is not heard. */
  function drop(code?: number): void {
    const old = socket;
    socket = undefined;
    welcomed = false;
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
      if (current()) fresh.send(encodeClientFrame({ kind: "hello", token, device: as, ...inbox.position }));
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
    else if (frame.kind === "deliver") inbox.deliver(frame.sequence, frame.parcel);
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
    maxBody = frame.maxBody;
    silent = false;
    clearInterval(watchdog);
    watchdog = setInterval(beat, options.heartbeatMs);
    welcomed = true;
    inbox.begin(frame.mailbox);
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

  function transmit({ request, frame, reject }: Pending): void {
    if (frame.body.length > maxBody) {
      pending.delete(frame.key);
      reject(new MiyuError("ERR_TOO_LARGE", { size: frame.body.length, limit: maxBody }));
    } else socket?.send(encodeClientFrame({ kind: "send", request, ...frame }));
  }

  function enqueue(frame: RelaySend): Pending {
    let resolve: (sent: Sent) => void = () => undefined;
    let reject: (error: MiyuError) => void = () => undefined;
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
    subscribe: (on) => inbox.subscribe(on),
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
      if (state.present === "online") inbox.flush();
      closed = true;
      stopRetry();
      page.removeEventListener?.("online", comeBack);
      inbox.close();
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
