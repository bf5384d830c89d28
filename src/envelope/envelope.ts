/**
 * The envelope (docs/protocol.md §3): one sealed body for all devices of a recipient and the sender's own others, and a slot
 * for each device whose Signal message carries the key of the body. The header commits to that key, so one body cannot open to two
 * texts; every slot carries the bind hash of header and body, so nobody who reads the key can put another body under it.
 * Slots themselves are authenticated by the ratchet and by nothing here: a server can drop one, which only loses the message.
 */
import { checkSize, compare, concat, lp, lp32, Reader, u16be, utf8, wipe, type Bytes } from "../bytes.ts";
import type { Crypto, Random } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import { fixed, HASH_LENGTH, ID_LENGTH, misuse } from "./fields.ts";
import { BODY_INFO, HASHED, hashWith } from "./signing.ts";

/** Version byte of envelopes and control frames. */
export const ENVELOPE_VERSION = 1;
/** Most slots of one envelope. */
const MAX_SLOTS = 256;
/** Most bytes of one envelope. */
export const MAX_ENVELOPE_LENGTH = 1024 * 1024;
/** Bytes of version, kind, id, sender device and key hash. */
export const HEADER_LENGTH = 66;
/** Second byte of every frame. Group and fragment are reserved: nothing produces or opens them yet. */
export const FRAME_KINDS = { direct: 1, group: 2, fragment: 3, bundleRequest: 16, bundleReply: 17 } as const;

const TAG_LENGTH = 8;
const SLOT_PLAINTEXT_LENGTH = 64;
/** The numbers Signal gives its message kinds. */
const SLOT_KINDS = { signal: 2, preKey: 3 } as const;
/** One key, one body: the key is fresh each time, so the nonce may be constant. */
const ZERO_NONCE_LENGTH = 24;

/** What precedes the slots; authenticated with the body. */
export interface EnvelopeHeader {
  readonly version: number;
  readonly kind: "direct";
  /** 16 bytes. */
  readonly id: Bytes;
  /** 16 bytes. */
  readonly senderDevice: Bytes;
  /** 32 bytes: SHA-256 of the content key. */
  readonly keyHash: Bytes;
  /** The 66 bytes as they travel. */
  readonly bytes: Bytes;
}

/** One device's Signal message. Its plaintext is content key 32 ‖ bind 32. */
export interface Slot {
  /** 8 bytes, see {@link slotTag}. */
  readonly tag: Bytes;
  readonly kind: "preKey" | "signal";
  readonly message: Bytes;
}

/** A decoded envelope. Nothing in it is verified yet. */
export interface Envelope {
  readonly header: EnvelopeHeader;
  /** Ascending by tag. */
  readonly slots: readonly Slot[];
  /** Sealed: padded content and 16 bytes of tag. */
  readonly body: Bytes;
}

/** A body sealed under a fresh key, and what each slot has to carry. */
export interface SealedBody {
  readonly header: EnvelopeHeader;
  readonly body: Bytes;
  /** 32 bytes. */
  readonly bind: Bytes;
  /** Content key 32 ‖ bind 32. Secret: the caller wipes it once every slot is encrypted. */
  readonly slotPlaintext: Bytes;
}

/** What names an envelope. */
export interface EnvelopeNames {
  /** 16 bytes, never used before. */
  readonly id: Uint8Array;
  /** 16 bytes. */
  readonly senderDevice: Uint8Array;
}

/** Seals padded content under a fresh content key (32 bytes of `random`). `padded` stays the caller's. @throws {MiyuError} ERR_USAGE */
export function sealBody(crypto: Crypto, random: Random, options: EnvelopeNames, padded: Uint8Array): SealedBody {
  const contentKey = random(HASH_LENGTH);
  try {
    const keyHash = hashWith(crypto, HASHED.contentKey, contentKey);
    const id = fixed(options.id, ID_LENGTH, "id");
    const senderDevice = fixed(options.senderDevice, ID_LENGTH, "senderDevice");
    const bytes = concat(Uint8Array.of(ENVELOPE_VERSION, FRAME_KINDS.direct), id, senderDevice, keyHash);
    const body = withBodyKey(crypto, contentKey, (key) => crypto.aeadSeal(key, new Uint8Array(ZERO_NONCE_LENGTH), bytes, padded));
    const bind = bindOf(crypto, bytes, body);
    const header: EnvelopeHeader = { version: ENVELOPE_VERSION, kind: "direct", id, senderDevice, keyHash, bytes };
    return { header, body, bind, slotPlaintext: concat(contentKey, bind) };
  } finally {
    wipe(contentKey);
  }
}

/** Tag of a device's slot in the envelope `id`, 8 bytes. Different in every envelope, so it names no device to who does not know it. */
export function slotTag(crypto: Crypto, id: Uint8Array, device: Uint8Array): Bytes {
  return hashWith(crypto, HASHED.slot, fixed(id, ID_LENGTH, "id"), fixed(device, ID_LENGTH, "device")).slice(0, TAG_LENGTH);
}

/**
 * Envelope to bytes; slots are sorted by tag.
 * @throws {MiyuError} ERR_TOO_LARGE over 256 slots, 1 MiB, or 65,535 bytes in one slot; ERR_USAGE for two slots of one tag
 */
export function encodeEnvelope(envelope: Pick<Envelope, "header" | "slots"> & { readonly body: Uint8Array }): Bytes {
  const { header, slots, body } = envelope;
  checkSize(slots.length, MAX_SLOTS);
  const sorted = [...slots].sort((a, b) => compare(a.tag, b.tag));
  const parts: Uint8Array[] = [fixed(header.bytes, HEADER_LENGTH, "header"), u16be(sorted.length)];
  let previous: Uint8Array | undefined;
  for (const slot of sorted) {
    if (previous !== undefined && compare(previous, slot.tag) === 0) throw misuse("two slots for one device");
    previous = slot.tag;
    parts.push(fixed(slot.tag, TAG_LENGTH, "slot tag"), Uint8Array.of(SLOT_KINDS[slot.kind]), lp(slot.message));
  }
  const size = parts.reduce((sum, part) => sum + part.length, 4 + body.length);
  checkSize(size, MAX_ENVELOPE_LENGTH);
  return concat(...parts, lp32(body));
}

/**
 * Opposite of {@link encodeEnvelope}.
 * @throws {MiyuError} ERR_TOO_LARGE, ERR_VERSION (`what`: envelope, envelope kind, slot kind), ERR_DECODE
 */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  checkSize(bytes.length, MAX_ENVELOPE_LENGTH);
  const reader = new Reader(bytes, "envelope");
  const header = readHeader(reader, bytes);
  const count = reader.u16();
  checkSize(count, MAX_SLOTS);
  const slots: Slot[] = [];
  for (let i = 0; i < count; i++) slots.push(readSlot(reader, slots.at(-1)));
  const body = reader.lp32();
  reader.end();
  return { header, slots, body };
}

function readHeader(reader: Reader, bytes: Uint8Array): EnvelopeHeader {
  reader.version(ENVELOPE_VERSION);
  reader.version(FRAME_KINDS.direct, "envelope kind");
  const id = reader.bytes(ID_LENGTH);
  const senderDevice = reader.bytes(ID_LENGTH);
  const keyHash = reader.bytes(HASH_LENGTH);
  return { version: ENVELOPE_VERSION, kind: "direct", id, senderDevice, keyHash, bytes: new Uint8Array(bytes.subarray(0, HEADER_LENGTH)) };
}

function readSlot(reader: Reader, before: Slot | undefined): Slot {
  const tag = reader.bytes(TAG_LENGTH);
  // Strictly ascending: one device has at most one slot, and the order says nothing about the devices.
  if (before !== undefined && compare(before.tag, tag) >= 0) reader.fail();
  const kind = reader.u8();
  if (kind !== SLOT_KINDS.signal && kind !== SLOT_KINDS.preKey) throw new MiyuError("ERR_VERSION", { what: "slot kind", version: kind });
  return { tag, kind: kind === SLOT_KINDS.preKey ? "preKey" : "signal", message: reader.lp() };
}

/** The slot of `device` (16 bytes), undefined if the envelope has none for it. */
export function findSlot(crypto: Crypto, envelope: Envelope, device: Uint8Array): Slot | undefined {
  const tag = slotTag(crypto, envelope.header.id, device);
  return envelope.slots.find((slot) => compare(slot.tag, tag) === 0);
}

/** Bind hash of a received envelope, 32 bytes. Names header and body; authentic only once {@link openBody} has passed. */
export function bindHash(crypto: Crypto, envelope: Envelope): Bytes {
  return bindOf(crypto, envelope.header.bytes, envelope.body);
}

/**
 * Opens the body with what the slot's Signal message said: length, key commitment, bind and AEAD are all checked.
 * The caller wipes the result (padded content) and `slotPlaintext`.
 * @throws {MiyuError} ERR_DECRYPT, the same for every cause
 */
export function openBody(crypto: Crypto, envelope: Envelope, slotPlaintext: Uint8Array): Bytes {
  if (slotPlaintext.length !== SLOT_PLAINTEXT_LENGTH) throw new MiyuError("ERR_DECRYPT");
  const contentKey = slotPlaintext.subarray(0, HASH_LENGTH);
  const keyHolds = crypto.equal(hashWith(crypto, HASHED.contentKey, contentKey), envelope.header.keyHash);
  const bindHolds = crypto.equal(bindHash(crypto, envelope), slotPlaintext.subarray(HASH_LENGTH));
  if (!keyHolds || !bindHolds) throw new MiyuError("ERR_DECRYPT");
  return withBodyKey(crypto, contentKey, (key) => {
    try {
      return crypto.aeadOpen(key, new Uint8Array(ZERO_NONCE_LENGTH), envelope.header.bytes, envelope.body);
    } catch {
      throw new MiyuError("ERR_DECRYPT");
    }
  });
}

function bindOf(crypto: Crypto, header: Uint8Array, body: Uint8Array): Bytes {
  return hashWith(crypto, HASHED.bind, lp(header), lp32(body));
}

function withBodyKey<T>(crypto: Crypto, contentKey: Uint8Array, use: (key: Bytes) => T): T {
  const key = crypto.hkdfSha256(contentKey, undefined, utf8(BODY_INFO), HASH_LENGTH);
  try {
    return use(key);
  } finally {
    wipe(key);
  }
}
