/**
 * The adapter for the relay of this project (`miyu relay`): messages over a WebSocket that is kept open, the directory over HTTP.
 * Works in browsers and in Node; nothing global is touched before it connects.
 */
import { utf8 } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import { relayDirectory } from "./relayDirectory.ts";
import { isId, MAX_KEY, MAX_USER, RELAY_SOCKET_PATH, type RelayDest } from "./relayFrames.ts";
import { relaySocket, type WebSocketConstructor } from "./relaySocket.ts";
import type { Adapter, DeviceId, Directory, OutFrame, Transport, TransportCaps, UserId } from "./types.ts";

export type { WebSocketConstructor, WebSocketLike } from "./relaySocket.ts";

/** What {@link webSocketAdapter} takes. */
export interface WebSocketAdapterOptions {
  /** The relay's base URL: `https://relay.example`, or the same with `wss:`. */
  readonly url: string;
  /** The user the token belongs to. Where the relay says otherwise, nothing is sent. */
  readonly user: UserId;
  /** The relay's token (visible ASCII), or a function that gives a fresh one for every connection and request. */
  readonly token: string | (() => string | Promise<string>);
  /** The device, where no client names it by `attach`: base64url of 16 bytes. */
  readonly device?: DeviceId;
  /** Default: the global one, else that of the package `ws`. */
  readonly WebSocket?: WebSocketConstructor;
  /** Default: the global one. */
  readonly fetch?: typeof globalThis.fetch;
  /** Largest body of one send, bytes. Default: 1 MiB, the relay's default. */
  readonly maxPayload?: number;
  /** Pauses between attempts to connect: random, up to `baseMs` doubled with each failure, at most `maxMs`. Default: 500 and 30,000. */
  readonly backoff?: { readonly baseMs?: number; readonly maxMs?: number };
  /** A connection that is silent for two of these is given up, milliseconds. Default: 20,000. */
  readonly heartbeatMs?: number;
  /** Sends that may wait for the relay at once. Default: 1,000. */
  readonly maxPending?: number;
  /** Numbers from 0 to 1 for the pauses. Default: `Math.random`. */
  readonly random?: () => number;
}

/** An adapter for the relay. */
export interface WebSocketAdapter extends Adapter {
  readonly transport: WebSocketTransport;
  readonly directory: Directory;
}

/** A transport with a connection that can be interrupted on purpose. */
export interface WebSocketTransport extends Transport {
  onState(on: (state: "online" | "offline") => void): () => void;
  attach(device: DeviceId): void;
  /** Disconnects until {@link WebSocketTransport.resume}; sends wait, directory calls fail with ERR_TRANSPORT_UNAVAILABLE. */
  pause(): void;
  /** Connects again after {@link WebSocketTransport.pause}. */
  resume(): void;
  close(): Promise<void>;
}

const MAX_PAYLOAD = 1 << 20;

/**
 * Connects a client to a relay, as soon as its device is known.
 *
 * A send resolves when the relay has the frame on its disk. Until then it stays pending over any number of connections, with the same
 * key, and the relay counts it once; `signal` ends the wait. Frames arrive in order, one at a time; the relay forgets one when the
 * subscriber's promise resolved and `ack` was called. Each device has one connection: where the same device connects elsewhere,
 * this one goes offline until the next send.
 *
 * @throws {MiyuError} ERR_USAGE for a URL that is none, or a token that no header can carry
 */
export function webSocketAdapter(options: WebSocketAdapterOptions): WebSocketAdapter {
  const { user, token } = options;
  // It travels in a header, where a browser would refuse anything else at every single request.
  if (typeof token === "string" && !/^[\x20-\x7e]+$/u.test(token)) throw new MiyuError("ERR_USAGE", { reason: "a token is visible ASCII" });
  const base = baseOf(options.url);
  const currentToken = typeof token === "function" ? token : (): string => token;
  let paused = false;
  let closed = false;
  const socket = relaySocket({
    url: base.replace(/^http/, "ws") + RELAY_SOCKET_PATH,
    user,
    token: currentToken,
    tokenChanges: typeof token === "function",
    findWebSocket: async () => options.WebSocket ?? findWebSocket(),
    random: options.random ?? Math.random,
    backoff: { baseMs: 500, maxMs: 30_000, ...options.backoff },
    heartbeatMs: options.heartbeatMs ?? 20_000,
    maxPending: options.maxPending ?? 1_000,
  });
  const caps: TransportCaps = {
    payload: "bytes",
    maxPayload: options.maxPayload ?? MAX_PAYLOAD,
    dests: ["user", "device"],
    ownCopy: "other-devices",
    offline: "durable",
    order: "per-sender",
    idempotentSend: true,
  };

  function attached(): void {
    if (closed) throw new MiyuError("ERR_CLOSED", { what: "transport" });
    if (!socket.attached && options.device === undefined) throw new MiyuError("ERR_USAGE", { reason: "name the device first: option device, or attach" });
    if (!socket.attached && options.device !== undefined) transport.attach(options.device);
  }

  const transport: WebSocketTransport = {
    self: user,
    caps,
    attach(device) {
      if (closed) throw new MiyuError("ERR_CLOSED", { what: "transport" });
      if (!isId(device)) throw new MiyuError("ERR_USAGE", { reason: "a device id is base64url of 16 bytes" });
      socket.attach(device);
    },
    async send(frame, { signal } = {}) {
      if (signal?.aborted === true) throw new MiyuError("ERR_ABORTED");
      attached();
      const dest = destOf(frame);
      if (frame.body.length > caps.maxPayload) throw new MiyuError("ERR_TOO_LARGE", { size: frame.body.length, limit: caps.maxPayload });
      return socket.send({ key: frame.key, dest, class: frame.class, body: frame.body }, signal);
    },
    subscribe(on) {
      attached();
      return socket.subscribe(on);
    },
    onState: (on) => socket.onState(on),
    pause() {
      paused = true;
      socket.pause();
    },
    resume() {
      paused = false;
      socket.resume();
    },
    async close() {
      closed = true;
      await socket.close();
    },
  };
  return {
    transport,
    directory: relayDirectory({ base, user, token: currentToken, fetch: options.fetch, reachable: () => !paused && !closed }),
  };
}

/** `https://host/path` of any of the four schemes, without a slash, a query or a fragment at the end. */
function baseOf(text: string): string {
  const http = text.replace(/^ws/i, "http");
  if (!URL.canParse(http) || !/^https?:$/.test(new URL(http).protocol)) throw new MiyuError("ERR_USAGE", { reason: "url is not the address of a relay" });
  const { origin, pathname } = new URL(http);
  return origin + pathname.replace(/\/+$/, "");
}

function destOf({ dest, key }: OutFrame): RelayDest {
  const refused = (reason: string): MiyuError => new MiyuError("ERR_TRANSPORT_REJECTED", { reason });
  if (dest.kind !== "user" && dest.kind !== "device") throw refused(`no ${dest.kind} destinations`);
  const [userSize, keySize] = [utf8(dest.user).length, utf8(key).length];
  if (userSize === 0 || userSize > MAX_USER) throw refused(`a user id has 1 to ${String(MAX_USER)} bytes`);
  if (keySize === 0 || keySize > MAX_KEY) throw refused(`a key has 1 to ${String(MAX_KEY)} bytes`);
  if (dest.kind === "device" && !isId(dest.device)) throw refused("not a device id");
  return dest.kind === "user" ? { kind: "user", user: dest.user } : { kind: "device", user: dest.user, device: dest.device };
}

async function findWebSocket(): Promise<WebSocketConstructor> {
  const present = (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  if (present !== undefined) return present;
  // A name that bundlers do not see: browsers never get here, and `ws` is an optional peer.
  const name = "ws";
  try {
    const found = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as { readonly WebSocket: WebSocketConstructor };
    return found.WebSocket;
  } catch (cause) {
    throw new MiyuError("ERR_USAGE", { reason: "there is no global WebSocket: install the package ws, or pass WebSocket" }, { cause });
  }
}
