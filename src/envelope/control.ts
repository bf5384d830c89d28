/**
 * Frames between clients that are not messages (docs/protocol.md §7): asking a peer for its keys where no directory exists, and the
 * answer. They share version and kind byte with the envelope, carry public bytes only and are not authenticated: the record inside a reply is
 * signed, and the nonce only matches a reply to its request.
 */
import { checkSize, concat, lp32, Reader, type Bytes } from "../bytes.ts";
import { MAX_RECORD_LENGTH } from "./bundle.ts";
import { decodeEnvelope, ENVELOPE_VERSION, FRAME_KINDS, type Envelope } from "./envelope.ts";
import { fixed, ID_LENGTH } from "./fields.ts";

/** Whatever arrives, decoded. `nonce` is 16 bytes, `record` a directory record not looked into yet. */
export type Frame =
  | { readonly kind: "envelope"; readonly envelope: Envelope }
  | { readonly kind: "bundle-request"; readonly nonce: Bytes }
  | { readonly kind: "bundle-reply"; readonly nonce: Bytes; readonly record: Bytes };

/** Asks for the peer's directory record. `nonce`: 16 fresh random bytes. 18 bytes. @throws {MiyuError} ERR_USAGE */
export function encodeBundleRequest(nonce: Uint8Array): Bytes {
  return concat(Uint8Array.of(ENVELOPE_VERSION, FRAME_KINDS.bundleRequest), fixed(nonce, ID_LENGTH, "nonce"));
}

/** Answers a request with a directory record. @throws {MiyuError} ERR_USAGE, ERR_TOO_LARGE over 64 KiB */
export function encodeBundleReply(nonce: Uint8Array, directoryRecord: Uint8Array): Bytes {
  checkSize(directoryRecord.length, MAX_RECORD_LENGTH);
  return concat(Uint8Array.of(ENVELOPE_VERSION, FRAME_KINDS.bundleReply), fixed(nonce, ID_LENGTH, "nonce"), lp32(directoryRecord));
}

/**
 * Decodes an envelope or a control frame.
 * @throws {MiyuError} ERR_DECODE, ERR_VERSION (`what`: envelope, envelope kind, slot kind), ERR_TOO_LARGE
 */
export function decodeFrame(bytes: Uint8Array): Frame {
  const kind = bytes[1];
  if (kind !== FRAME_KINDS.bundleRequest && kind !== FRAME_KINDS.bundleReply) return { kind: "envelope", envelope: decodeEnvelope(bytes) };
  const reader = new Reader(bytes, "control frame");
  reader.version(ENVELOPE_VERSION, "envelope");
  reader.u8();
  const nonce = reader.bytes(ID_LENGTH);
  if (kind === FRAME_KINDS.bundleRequest) {
    reader.end();
    return { kind: "bundle-request", nonce };
  }
  const length = reader.u32();
  checkSize(length, MAX_RECORD_LENGTH);
  const record = reader.bytes(length);
  reader.end();
  return { kind: "bundle-reply", nonce, record };
}
