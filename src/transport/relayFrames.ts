/**
 * The frames between a device and the relay, byte-exact as in docs/relay.md: one WebSocket message is one frame,
 * a type byte and its fields, integers big-endian. Both sides use this file; neither looks inside a body.
 */
import { concat, fromBase64url, fromUtf8, lp, lp32, Reader, toBase64url, u16be, u32be, u64be, utf8, type Bytes } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import type { DeviceId, FrameClass, UserId } from "./types.ts";

/** Version in `hello` and `welcome`. */
const RELAY_VERSION = 1;
/** Path of the WebSocket, below the relay's base URL. */
export const RELAY_SOCKET_PATH = "/v1/socket";
/** Bytes of a device id, a mailbox id and a message id. */
export const ID_LENGTH = 16;
/** Bytes a `send` or `deliver` frame may have beyond its body. */
export const FRAME_OVERHEAD = 1024;
/** Longest user id, UTF-8 bytes. */
export const MAX_USER = 256;
/** Longest token, UTF-8 bytes. */
export const MAX_TOKEN = 4096;
/** Longest idempotency key, UTF-8 bytes. */
export const MAX_KEY = 128;
/** Most sequences in one `ack`. */
export const MAX_ACKS = 512;

/** Why the relay closed a socket; WebSocket close codes. */
export const RELAY_CLOSE = {
  /** The relay stops. Come back later. */
  stopping: 1001,
  /** Something in the relay failed. Come back later. */
  failed: 1011,
  /** The token is not valid. */
  unauthorised: 4001,
  /** Another socket of the same device took over. */
  replaced: 4002,
  /** A frame could not be read, or came out of turn. */
  badFrame: 4003,
  /** The relay does not speak this version. */
  version: 4004,
  /** The user has as many devices as the relay allows. */
  devices: 4005,
  /** No hello, or no sign of life, in time. */
  timeout: 4006,
} as const;

/** Who a `send` is for: all devices of a user, or one of them. */
export type RelayDest = { readonly kind: "user"; readonly user: UserId } | { readonly kind: "device"; readonly user: UserId; readonly device: DeviceId };

/** What a device says. */
export type ClientFrame =
  /** First frame. `cursor`: highest sequence this client took from `mailbox`; an all-zero mailbox id means "none yet". */
  | { readonly kind: "hello"; readonly token: string; readonly device: DeviceId; readonly mailbox: string; readonly cursor: number }
  | { readonly kind: "send"; readonly request: number; readonly key: string; readonly dest: RelayDest; readonly class: FrameClass; readonly body: Uint8Array }
  /** `cursor`: everything up to it is settled here, send more; `sequences`: forget these. */
  | { readonly kind: "ack"; readonly cursor: number; readonly sequences: readonly number[] }
  | { readonly kind: "ping"; readonly nonce: number };

/** A message as the relay keeps it. */
export interface Parcel {
  /** The relay's id of the message, base64url of 16 bytes. */
  readonly id: string;
  /** When it was accepted, milliseconds since 1970. */
  readonly at: number;
  readonly class: FrameClass;
  readonly from: UserId;
  /** The user it was sent to; on a copy for the sender's other devices not their own. */
  readonly to: UserId;
  readonly body: Uint8Array;
}

/** Why a send was refused: try again, never, or too large. */
export type Refusal = "unavailable" | "rejected" | "too-large";

/** What the relay says. */
export type ServerFrame =
  | { readonly kind: "welcome"; readonly user: UserId; readonly mailbox: string; readonly now: number; readonly maxBody: number }
  | { readonly kind: "accepted"; readonly request: number; readonly id: string; readonly at: number }
  | { readonly kind: "refused"; readonly request: number; readonly why: Refusal; readonly retryAfterMs: number; readonly limit: number; readonly reason: string }
  | { readonly kind: "deliver"; readonly sequence: number; readonly parcel: Parcel }
  | { readonly kind: "pong"; readonly nonce: number };

const CLASSES: readonly FrameClass[] = ["chat", "control", "ephemeral"];
const REFUSALS: readonly Refusal[] = ["unavailable", "rejected", "too-large"];
const TYPE = { hello: 0x01, send: 0x02, ack: 0x03, ping: 0x04, welcome: 0x81, accepted: 0x82, refused: 0x83, deliver: 0x84, pong: 0x85 } as const;

/** The 16 bytes of an id of ours. @throws {MiyuError} ERR_DECODE */
export function idBytes(id: string): Bytes {
  const bytes = fromBase64url(id, "id");
  if (bytes.length !== ID_LENGTH) throw new MiyuError("ERR_DECODE", { what: "id" });
  return bytes;
}

/** Whether `id` is an id of ours, written the one canonical way. */
export function isId(id: string): boolean {
  try {
    return toBase64url(idBytes(id)) === id;
  } catch {
    return false;
  }
}

/** @throws {MiyuError} ERR_DECODE for an id that is none, ERR_TOO_LARGE for a text over 65,535 bytes */
export function encodeClientFrame(frame: ClientFrame): Bytes {
  const type = Uint8Array.of(TYPE[frame.kind]);
  switch (frame.kind) {
    case "hello":
      return concat(type, Uint8Array.of(RELAY_VERSION), lp(utf8(frame.token)), idBytes(frame.device), idBytes(frame.mailbox), u64be(frame.cursor));
    case "send":
      return concat(type, u32be(frame.request), lp(utf8(frame.key)), encodeDest(frame.dest), oneOf(CLASSES, frame.class), lp32(frame.body));
    case "ack":
      return concat(type, u64be(frame.cursor), u16be(frame.sequences.length), ...frame.sequences.map(u64be));
    case "ping":
      return concat(type, u32be(frame.nonce));
  }
}

/** @throws {MiyuError} ERR_DECODE, or ERR_VERSION for a hello of another version */
export function decodeClientFrame(bytes: Uint8Array): ClientFrame {
  const reader = new Reader(bytes, "relay frame");
  const frame = readClientFrame(reader);
  reader.end();
  return frame;
}

/** Opposite of {@link decodeServerFrame}. */
export function encodeServerFrame(frame: Exclude<ServerFrame, { kind: "deliver" }>): Bytes {
  const type = Uint8Array.of(TYPE[frame.kind]);
  switch (frame.kind) {
    case "welcome":
      return concat(type, Uint8Array.of(RELAY_VERSION), lp(utf8(frame.user)), idBytes(frame.mailbox), u64be(frame.now), u32be(frame.maxBody));
    case "accepted":
      return concat(type, u32be(frame.request), idBytes(frame.id), u64be(frame.at));
    case "refused":
      return concat(type, u32be(frame.request), oneOf(REFUSALS, frame.why), u32be(frame.retryAfterMs), u32be(frame.limit), lp(utf8(frame.reason)));
    case "pong":
      return concat(type, u32be(frame.nonce));
  }
}

/** A `deliver` frame around the bytes of {@link encodeParcel}. */
export function encodeDelivery(sequence: number, parcel: Uint8Array): Bytes {
  return concat(Uint8Array.of(TYPE.deliver), u64be(sequence), parcel);
}

/** @throws {MiyuError} ERR_DECODE, or ERR_VERSION for a welcome of another version */
export function decodeServerFrame(bytes: Uint8Array): ServerFrame {
  const reader = new Reader(bytes, "relay frame");
  const frame = readServerFrame(reader);
  reader.end();
  return frame;
}

/** A message as it is stored and delivered. */
export function encodeParcel(parcel: Parcel): Bytes {
  return concat(idBytes(parcel.id), u64be(parcel.at), oneOf(CLASSES, parcel.class), lp(utf8(parcel.from)), lp(utf8(parcel.to)), lp32(parcel.body));
}

function readClientFrame(reader: Reader): ClientFrame {
  switch (reader.u8()) {
    case TYPE.hello:
      readVersion(reader);
      return { kind: "hello", token: readText(reader, 0, MAX_TOKEN), device: readId(reader), mailbox: readId(reader), cursor: reader.u64() };
    case TYPE.send:
      return {
        kind: "send",
        request: reader.u32(),
        key: readText(reader, 1, MAX_KEY),
        dest: readDest(reader),
        class: readOneOf(reader, CLASSES),
        body: reader.lp32(),
      };
    case TYPE.ack: {
      const cursor = reader.u64();
      const count = reader.u16();
      if (count > MAX_ACKS) reader.fail();
      return { kind: "ack", cursor, sequences: Array.from({ length: count }, () => reader.u64()) };
    }
    case TYPE.ping:
      return { kind: "ping", nonce: reader.u32() };
    default:
      return reader.fail();
  }
}

function readServerFrame(reader: Reader): ServerFrame {
  switch (reader.u8()) {
    case TYPE.welcome:
      readVersion(reader);
      return { kind: "welcome", user: readText(reader, 1, MAX_USER), mailbox: readId(reader), now: reader.u64(), maxBody: reader.u32() };
    case TYPE.accepted:
      return { kind: "accepted", request: reader.u32(), id: readId(reader), at: reader.u64() };
    case TYPE.refused:
      return {
        kind: "refused",
        request: reader.u32(),
        why: readOneOf(reader, REFUSALS),
        retryAfterMs: reader.u32(),
        limit: reader.u32(),
        reason: readText(reader, 0, MAX_USER),
      };
    case TYPE.deliver:
      return { kind: "deliver", sequence: reader.u64(), parcel: readParcel(reader) };
    case TYPE.pong:
      return { kind: "pong", nonce: reader.u32() };
    default:
      return reader.fail();
  }
}

function readParcel(reader: Reader): Parcel {
  return {
    id: readId(reader),
    at: reader.u64(),
    class: readOneOf(reader, CLASSES),
    from: readText(reader, 1, MAX_USER),
    to: readText(reader, 1, MAX_USER),
    body: reader.lp32(),
  };
}

function encodeDest(dest: RelayDest): Uint8Array {
  const user = lp(utf8(dest.user));
  return dest.kind === "user" ? concat(Uint8Array.of(1), user) : concat(Uint8Array.of(2), user, idBytes(dest.device));
}

function readDest(reader: Reader): RelayDest {
  const kind = reader.u8();
  if (kind !== 1 && kind !== 2) reader.fail();
  const user = readText(reader, 1, MAX_USER);
  return kind === 1 ? { kind: "user", user } : { kind: "device", user, device: readId(reader) };
}

function readVersion(reader: Reader): void {
  const version = reader.u8();
  if (version !== RELAY_VERSION) throw new MiyuError("ERR_VERSION", { what: "relay frame", version });
}

function readText(reader: Reader, least: number, most: number): string {
  const bytes = reader.lp();
  if (bytes.length < least || bytes.length > most) reader.fail();
  return fromUtf8(bytes, "relay frame");
}

function readId(reader: Reader): string {
  return toBase64url(reader.bytes(ID_LENGTH));
}

/** One byte: 1 for the first of `names`, and so on. */
function oneOf<T>(names: readonly T[], name: T): Uint8Array {
  return Uint8Array.of(names.indexOf(name) + 1);
}

function readOneOf<T>(reader: Reader, names: readonly T[]): T {
  return names[reader.u8() - 1] ?? reader.fail();
}
