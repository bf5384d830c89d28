/**
 * Stored form of one session (docs/protocol.md): fixed fields, big-endian, keys at full length. On the way of every message, so it is
 * written into one buffer of the right size and read as views of one copy; the regions belong to the state and are wiped one by one.
 */
import { toBase64url, type Bytes, type Reader } from "../bytes.ts";
import { PRIVATE_KEY_LENGTH, PUBLIC_KEY_LENGTH, PUBLIC_KEY_TYPE } from "./keys.ts";
import { CLASSIC_VERSION } from "./messages.ts";
import { MAX_RECEIVER_CHAINS } from "./sessionState.ts";
import { MAX_SKIPPED_KEYS, PAGE_COUNTERS } from "./skippedKeys.ts";
import type { PendingPreKey, ReceiverChain, SessionParts, SessionState, SkippedPage } from "./types.ts";

const SECRET_LENGTH = 32;
const LAST_PAGE = 0xffffffff >>> 7;
const PAGE_ENTRY_LENGTH = 5;
const CHAIN_LENGTH = PUBLIC_KEY_LENGTH + SECRET_LENGTH + 4 + 2;
const FIXED_LENGTH = 1 + 4 * PUBLIC_KEY_LENGTH + 2 * SECRET_LENGTH + PRIVATE_KEY_LENGTH + 4 * 4 + 2;

/** Length of the pending prekey's fields behind its kind byte, by kind: none, without and with a one-time prekey. */
const PENDING_LENGTHS = [0, 12, 16] as const;

/** Fills a buffer front to back. */
export class RecordWriter {
  /** The buffer: complete when everything was written. */
  readonly out: Bytes;
  #offset = 0;

  constructor(length: number) {
    this.out = new Uint8Array(length);
  }

  u8(value: number): void {
    this.out[this.#offset++] = value;
  }

  u16(value: number): void {
    this.u8(value >>> 8);
    this.u8(value);
  }

  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value);
  }

  u64(value: number): void {
    this.u32(Math.floor(value / 2 ** 32));
    this.u32(value);
  }

  bytes(value: Uint8Array): void {
    this.out.set(value, this.#offset);
    this.#offset += value.length;
  }
}

/** Reads a buffer of its own, so byte strings may be views of it. */
export type RecordReader = Reader<ArrayBuffer>;

/** Bytes {@link writeSession} will write. */
export function sessionLength(state: SessionState): number {
  let length = FIXED_LENGTH + PENDING_LENGTHS[pendingKind(state.pendingPreKey)];
  for (const chain of state.receiverChains) length += CHAIN_LENGTH + chain.skipped.length * PAGE_ENTRY_LENGTH;
  return length;
}

/** Writes a session. Skipped keys appear as page numbers and counts; the pages are parts of their own. */
export function writeSession(writer: RecordWriter, state: SessionState): void {
  const { senderChain, pendingPreKey, receiverChains } = state;
  writer.u8(state.version);
  writer.bytes(state.localIdentityKey);
  writer.bytes(state.remoteIdentityKey);
  writer.bytes(state.baseKey);
  writer.u32(state.localRegistrationId);
  writer.u32(state.remoteRegistrationId);
  writer.bytes(state.rootKey);
  writer.u32(state.previousCounter);
  writer.bytes(senderChain.ratchetKeyPair.publicKey);
  writer.bytes(senderChain.ratchetKeyPair.privateKey);
  writer.bytes(senderChain.chainKey);
  writer.u32(senderChain.index);
  writer.u8(pendingKind(pendingPreKey));
  if (pendingPreKey) {
    if (pendingPreKey.oneTimePreKeyId !== undefined) writer.u32(pendingPreKey.oneTimePreKeyId);
    writer.u32(pendingPreKey.signedPreKeyId);
    writer.u64(pendingPreKey.createdAt);
  }
  writer.u8(receiverChains.length);
  for (const { ratchetKey, chainKey, index, skipped } of receiverChains) {
    writer.bytes(ratchetKey);
    writer.bytes(chainKey);
    writer.u32(index);
    writer.u16(skipped.length);
    for (const { number, count } of skipped) {
      writer.u32(number);
      writer.u8(count);
    }
  }
}

/** Reads a session; pages of skipped keys stay in `parts` until they are needed. @throws {MiyuError} ERR_DECODE, ERR_VERSION */
export function readSession(reader: RecordReader, parts: SessionParts): SessionState {
  const version = readVersion(reader);
  const localIdentityKey = readPublicKey(reader);
  const remoteIdentityKey = readPublicKey(reader);
  const baseKey = readPublicKey(reader);
  const localRegistrationId = reader.u32();
  const remoteRegistrationId = reader.u32();
  const rootKey = reader.view(SECRET_LENGTH);
  const previousCounter = reader.u32();
  const publicKey = readPublicKey(reader);
  const privateKey = reader.view(PRIVATE_KEY_LENGTH);
  const senderChain = { ratchetKeyPair: { publicKey, privateKey }, chainKey: reader.view(SECRET_LENGTH), index: reader.u32() };
  const pendingPreKey = readPending(reader);
  const receiverChains: ReceiverChain[] = [];
  for (let left = reader.atMost(MAX_RECEIVER_CHAINS); left > 0; left--) receiverChains.push(readChain(reader, baseKey, parts));
  return {
    version,
    localIdentityKey,
    remoteIdentityKey,
    rootKey,
    previousCounter,
    senderChain,
    receiverChains,
    ...(pendingPreKey && { pendingPreKey }),
    remoteRegistrationId,
    localRegistrationId,
    baseKey,
  };
}

/** A session's message version. @throws {MiyuError} ERR_VERSION */
export function readVersion(reader: RecordReader): 3 {
  return reader.version(CLASSIC_VERSION, "session");
}

/** A serialized public key, 33 bytes. @throws {MiyuError} ERR_DECODE */
export function readPublicKey(reader: RecordReader): Bytes {
  const key = reader.view(PUBLIC_KEY_LENGTH);
  return key[0] === PUBLIC_KEY_TYPE ? key : reader.fail();
}

/** Name of a page: unique in the record, because no two of its sessions share a base key and no two chains of one a ratchet key. */
export function pageName(baseKey: Uint8Array, ratchetKey: Uint8Array, number: number): string {
  return `k/${toBase64url(baseKey.subarray(1))}/${toBase64url(ratchetKey.subarray(1))}/${String(number)}`;
}

function pendingKind(pending: PendingPreKey | undefined): 0 | 1 | 2 {
  if (!pending) return 0;
  return pending.oneTimePreKeyId === undefined ? 1 : 2;
}

function readPending(reader: RecordReader): PendingPreKey | undefined {
  const kind = reader.atMost(2);
  if (kind === 0) return undefined;
  const oneTime = kind === 2 ? { oneTimePreKeyId: reader.u32() } : {};
  return { ...oneTime, signedPreKeyId: reader.u32(), createdAt: reader.u64() };
}

function readChain(reader: RecordReader, baseKey: Uint8Array, parts: SessionParts): ReceiverChain {
  const ratchetKey = readPublicKey(reader);
  const chainKey = reader.view(SECRET_LENGTH);
  const index = reader.u32();
  const skipped: SkippedPage[] = [];
  let total = 0;
  let last = -1;
  for (let left = reader.u16(); left > 0; left--) {
    const number = reader.u32();
    const count = reader.atMost(PAGE_COUNTERS);
    total += count;
    if (number <= last || number > LAST_PAGE || count === 0 || total > MAX_SKIPPED_KEYS) reader.fail();
    last = number;
    skipped.push({ number, count, content: { name: pageName(baseKey, ratchetKey, number), parts } });
  }
  return { ratchetKey, chainKey, index, skipped };
}
