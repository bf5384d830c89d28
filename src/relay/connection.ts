/**
 * One WebSocket of one device: hello, sends, deliveries within a window, acknowledgements. A frame that cannot be read ends this
 * socket and nothing else.
 */
import type { RawData, WebSocket } from "ws";
import { toHex } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import { decodeClientFrame, encodeDelivery, encodeServerFrame, RELAY_CLOSE, type ClientFrame, type Refusal } from "../transport/relayFrames.ts";
import type { DeviceId, UserId } from "../transport/types.ts";
import type { RateLimit, RelayLimits } from "./limits.ts";
import type { Mailboxes } from "./mailboxes.ts";
import type { Sighting } from "./tap.ts";

/** What connections of one relay share. */
export interface ConnectionContext {
  readonly limits: RelayLimits;
  readonly mailboxes: Mailboxes;
  readonly sendRate: RateLimit;
  readonly now: () => number;
  readonly authenticate: (token: string) => Promise<UserId | undefined>;
  /** The connection of each device, by {@link deviceKey}. */
  readonly connections: Map<string, Connection>;
  readonly see: (sighting: Sighting) => void;
  /** Whether the relay is stopping: sends are refused. */
  readonly stopping: () => boolean;
}

/** A connection, as the relay sees it. */
export interface Connection {
  /** Looks into the mailbox for something to deliver. */
  wake(): void;
  close(code: number, reason: string): void;
}

/** Name of a device in {@link ConnectionContext.connections}. */
export function deviceKey(user: UserId, device: DeviceId): string {
  return `${device} ${user}`;
}

/** Messages read from the mailbox and written to the socket at once. */
const DELIVER_BATCH = 16;
/** Bytes of a body that a tap shows. */
const PREFIX = 48;

/** Serves `socket` until it closes. Resolves when everything it asked for is settled. */
export async function serveSocket(context: ConnectionContext, socket: WebSocket): Promise<void> {
  const { limits, mailboxes, now, see } = context;
  let session: { readonly user: UserId; readonly device: DeviceId } | undefined;
  let greeting = false;
  let sent = 0;
  let outstanding: number[] = [];
  let delivering = false;
  let again = false;
  const jobs = new Set<Promise<void>>();

  const open = (): boolean => socket.readyState === socket.OPEN;
  const close = (code: number, reason: string): void => {
    if (open()) socket.close(code, reason);
  };
  const say = (frame: Parameters<typeof encodeServerFrame>[0]): void => {
    if (open()) socket.send(encodeServerFrame(frame));
  };
  /** Runs a job to its end even if the socket closes; a failure that nobody expected ends the socket. */
  const track = (job: Promise<void>): void => {
    const tracked: Promise<void> = job
      .catch(() => {
        close(RELAY_CLOSE.failed, "failed");
      })
      .finally(() => jobs.delete(tracked));
    jobs.add(tracked);
  };
  const connection: Connection = { wake: () => { track(deliver()); }, close };

  async function hello(frame: Extract<ClientFrame, { kind: "hello" }>): Promise<void> {
    const user = await context.authenticate(frame.token);
    if (user === undefined) {
      close(RELAY_CLOSE.unauthorised, "unauthorised");
      return;
    }
    let mailbox: string;
    try {
      mailbox = await mailboxes.register(user, frame.device);
    } catch (error) {
      if (!MiyuError.is(error, "ERR_TRANSPORT_REJECTED")) throw error;
      close(RELAY_CLOSE.devices, "too many devices");
      return;
    }
    if (!open()) return;
    const key = deviceKey(user, frame.device);
    context.connections.get(key)?.close(RELAY_CLOSE.replaced, "replaced");
    context.connections.set(key, connection);
    session = { user, device: frame.device };
    // A cursor of another mailbox, from before the relay lost its rows, means nothing here.
    sent = frame.mailbox === mailbox ? frame.cursor : 0;
    say({ kind: "welcome", user, mailbox, now: now(), maxBody: limits.body });
    connection.wake();
  }

  async function send(from: UserId, device: DeviceId, frame: Extract<ClientFrame, { kind: "send" }>): Promise<void> {
    const { request, key, dest, body } = frame;
    try {
      if (context.stopping()) throw new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "the relay is stopping" });
      if (body.length > limits.body) throw new MiyuError("ERR_TOO_LARGE", { size: body.length, limit: limits.body });
      const retryAfterMs = context.sendRate.take(from, now());
      if (retryAfterMs > 0) throw new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "too many sends", retryAfterMs });
      const answer = await mailboxes.post({ from, device, key, dest, class: frame.class, body }, now());
      say({ kind: "accepted", request, ...answer });
      see({ kind: "send", at: answer.at, from, to: dest.user, device, class: frame.class, size: body.length, prefix: toHex(body.subarray(0, PREFIX)) });
    } catch (error) {
      say({ kind: "refused", request, ...refusalOf(error) });
    }
  }

  /** Delivers what the window has room for. Only one run at a time, or the order would be lost. */
  async function deliver(): Promise<void> {
    again = true;
    if (delivering || session === undefined) return;
    delivering = true;
    const { user, device } = session;
    try {
      while (again) {
        again = false;
        const room = Math.min(DELIVER_BATCH, limits.window - outstanding.length);
        if (room <= 0 || !open()) break;
        const rows = await mailboxes.next(user, device, sent, room);
        if (rows.length === 0 || context.connections.get(deviceKey(user, device)) !== connection) continue;
        for (const { sequence, parcel } of rows) {
          outstanding.push(sequence);
          sent = sequence;
          see({ kind: "deliver", at: now(), to: user, device, size: parcel.length });
        }
        await new Promise<void>((written) => {
          const resolve = (): void => {
            socket.off("close", resolve);
            written();
          };
          socket.once("close", resolve);
          rows.forEach(({ sequence, parcel }, i) => {
            socket.send(encodeDelivery(sequence, parcel), () => {
              if (i === rows.length - 1) resolve();
            });
          });
        });
        again = true;
      }
    } finally {
      delivering = false;
    }
  }

  function take(frame: ClientFrame): void {
    if (frame.kind === "hello") {
      if (greeting) throw new MiyuError("ERR_DECODE", { what: "second hello" });
      greeting = true;
      clearTimeout(helloTimer);
      track(hello(frame));
      return;
    }
    if (session === undefined) throw new MiyuError("ERR_DECODE", { what: "frame before welcome" });
    const { user, device } = session;
    if (frame.kind === "send") track(send(user, device, frame));
    else if (frame.kind === "ping") say({ kind: "pong", nonce: frame.nonce });
    else {
      outstanding = outstanding.filter((sequence) => sequence > frame.cursor);
      if (frame.sequences.length > 0) {
        see({ kind: "acknowledge", at: now(), from: user, device });
        track(mailboxes.acknowledge(user, device, frame.sequences));
      }
      connection.wake();
    }
  }

  const helloTimer = setTimeout(() => { close(RELAY_CLOSE.timeout, "no hello"); }, limits.helloMs);
  socket.on("message", (data: RawData, isBinary: boolean) => {
    if (!open()) return;
    try {
      if (!isBinary) throw new MiyuError("ERR_DECODE", { what: "text frame" });
      take(decodeClientFrame(bytesOf(data)));
    } catch (error) {
      if (MiyuError.is(error, "ERR_VERSION")) close(RELAY_CLOSE.version, "version");
      else close(RELAY_CLOSE.badFrame, "bad frame");
    }
  });
  // Errors of the socket (too large, bad framing, reset) are followed by its close.
  socket.on("error", () => undefined);
  await new Promise((resolve) => socket.once("close", resolve));
  clearTimeout(helloTimer);
  if (session !== undefined) {
    const key = deviceKey(session.user, session.device);
    if (context.connections.get(key) === connection) context.connections.delete(key);
  }
  while (jobs.size > 0) await Promise.all(jobs);
}

function bytesOf(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data;
}

function refusalOf(error: unknown): { readonly why: Refusal; readonly retryAfterMs: number; readonly limit: number; readonly reason: string } {
  if (MiyuError.is(error, "ERR_TOO_LARGE")) return { why: "too-large", retryAfterMs: 0, limit: error.detail.limit, reason: "too large" };
  if (MiyuError.is(error, "ERR_TRANSPORT_REJECTED")) return { why: "rejected", retryAfterMs: 0, limit: 0, reason: error.detail.reason };
  if (MiyuError.is(error, "ERR_TRANSPORT_UNAVAILABLE")) {
    return { why: "unavailable", retryAfterMs: error.detail.retryAfterMs ?? 0, limit: 0, reason: error.detail.reason };
  }
  return { why: "unavailable", retryAfterMs: 1000, limit: 0, reason: "the relay could not store it" };
}
