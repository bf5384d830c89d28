/**
 * The archive: one row for each message by (sender device, message id), holding what answers a repeated decrypt and an echo, since a
 * ratchet opens nothing twice; and for each conversation a head and pages of 64 rows in the order of arrival, so that a message
 * writes one page and history reads few. A row whose plaintext is gone keeps its hashes.
 */
import { concat, copy, fromBase64url, lp, lp32, Reader, toBase64url, u32be, u64be, utf8, type Bytes } from "../bytes.ts";
import type { RecordKey, StoreView } from "../store/types.ts";
import type { DeviceId, UserId } from "../transport/types.ts";
import { RECORDS } from "./naming.ts";
import type { Delivery, Message, Trust } from "./types.ts";

/** Rows of one history page. */
export const PAGE_ROWS = 64;

const VERSION = 1;
const TRUSTS: readonly Trust[] = ["first-use", "verified", "changed"];
const DELIVERIES: readonly (Delivery | undefined)[] = [undefined, "waiting", "ready", "accepted", "failed", "sealed"];

/** What a message said. */
export interface Plaintext {
  readonly mediaType: string;
  readonly body: Bytes;
}

/** A message as it is kept. */
export interface ArchiveRow {
  /** Message id, base64url. */
  readonly id: string;
  readonly user: UserId;
  readonly device: DeviceId;
  readonly conversation: string;
  readonly own: boolean;
  /** Number of arrival, ascending over all conversations. */
  readonly sequence: number;
  readonly sentAt: number;
  readonly receivedAt: number;
  readonly trust: Trust;
  /** For messages sent from this device. */
  readonly delivery: Delivery | undefined;
  /** Bind hash of the envelope, 32 bytes; zeros before it is sealed. */
  readonly bind: Bytes;
  /** Hash of recipient and content for messages sent from this device, 32 bytes, else zeros. */
  readonly contentHash: Bytes;
  /** Undefined once it is no longer kept. */
  readonly plaintext: Plaintext | undefined;
  /** The envelope, as long as it may have to leave again; else empty. */
  readonly sealed: Bytes;
}

/** The row of a message; its record must be named. */
export function getRow(view: StoreView, device: DeviceId, id: string): ArchiveRow | undefined {
  const bytes = view.get(RECORDS.archive(device, id));
  return bytes === undefined ? undefined : decodeRow(bytes, device, id);
}

/** Stores a row; its record must be named. */
export function putRow(view: StoreView, row: ArchiveRow): void {
  view.put(RECORDS.archive(row.device, row.id), encodeRow(row));
}

/** Row to bytes. */
function encodeRow(row: ArchiveRow): Bytes {
  const { plaintext } = row;
  return concat(
    Uint8Array.of(VERSION, row.own ? 1 : 0, TRUSTS.indexOf(row.trust), DELIVERIES.indexOf(row.delivery), plaintext === undefined ? 0 : 1),
    u64be(row.sequence),
    u64be(row.sentAt),
    u64be(row.receivedAt),
    row.bind,
    row.contentHash,
    lp(utf8(row.user)),
    lp(utf8(row.conversation)),
    lp(utf8(plaintext?.mediaType ?? "")),
    lp32(plaintext?.body ?? new Uint8Array(0)),
    lp32(row.sealed),
  );
}

/** Opposite of {@link encodeRow}. @throws {MiyuError} ERR_DECODE, ERR_SCHEMA */
function decodeRow(bytes: Uint8Array, device: DeviceId, id: string): ArchiveRow {
  const reader = new Reader(bytes, "archive row");
  reader.schema(VERSION);
  const own = reader.u8() === 1;
  const trust = TRUSTS[reader.u8()] ?? reader.fail();
  const deliveryCode = reader.u8();
  const kept = reader.u8() === 1;
  if (deliveryCode >= DELIVERIES.length) reader.fail();
  const sequence = reader.u64();
  const sentAt = reader.u64();
  const receivedAt = reader.u64();
  const bind = reader.bytes(32);
  const contentHash = reader.bytes(32);
  const user = reader.text();
  const conversation = reader.text();
  const mediaType = reader.text();
  const body = reader.lp32();
  const sealed = reader.lp32();
  reader.end();
  const plaintext = kept ? { mediaType, body } : undefined;
  const delivery = DELIVERIES[deliveryCode];
  return { id, user, device, conversation, own, sequence, sentAt, receivedAt, trust, delivery, bind, contentHash, plaintext, sealed };
}

/** What an app sees of a row; undefined if its plaintext is gone. */
export function messageOf(row: ArchiveRow): Message | undefined {
  const { plaintext, delivery } = row;
  if (plaintext === undefined) return undefined;
  return {
    kind: "message",
    id: row.id,
    from: { user: row.user, device: row.device },
    conversation: row.conversation,
    own: row.own,
    sentAt: row.sentAt,
    receivedAt: row.receivedAt,
    mediaType: plaintext.mediaType,
    text: plaintext.mediaType.startsWith("text/") ? new TextDecoder().decode(plaintext.body) : undefined,
    body: copy(plaintext.body),
    trust: row.trust,
    ...(delivery !== undefined && { delivery }),
  };
}

/** Head of a conversation. */
export interface ConversationHead {
  readonly firstPage: number;
  readonly lastPage: number;
  /** Rows of the last page. */
  readonly lastRows: number;
  /** Rows in all pages. */
  readonly total: number;
  readonly updatedAt: number;
}

/** The head, if there is one; its record must be named. */
export function getHead(view: StoreView, conversation: string): ConversationHead | undefined {
  const bytes = view.get(RECORDS.conversation(conversation));
  return bytes === undefined ? undefined : decodeHead(bytes);
}

/** Stores a head; its record must be named. */
export function putHead(view: StoreView, conversation: string, head: ConversationHead): void {
  view.put(
    RECORDS.conversation(conversation),
    concat(Uint8Array.of(VERSION), u32be(head.firstPage), u32be(head.lastPage), u32be(head.lastRows), u32be(head.total), u64be(head.updatedAt)),
  );
}

/** Head from bytes. @throws {MiyuError} ERR_DECODE, ERR_SCHEMA */
export function decodeHead(bytes: Uint8Array): ConversationHead {
  const reader = new Reader(bytes, "conversation");
  reader.schema(VERSION);
  const head = { firstPage: reader.u32(), lastPage: reader.u32(), lastRows: reader.u32(), total: reader.u32(), updatedAt: reader.u64() };
  reader.end();
  return head;
}

/** Names a row of a page. */
export interface PageEntry {
  readonly device: DeviceId;
  readonly id: string;
}

/** Rows of a page, oldest first; its record must be named. */
export function getPage(view: StoreView, conversation: string, page: number): PageEntry[] {
  const bytes = view.get(RECORDS.historyPage(conversation, page));
  if (bytes === undefined) return [];
  const reader = new Reader(bytes, "history page");
  const entries: PageEntry[] = [];
  while (reader.left > 0) entries.push({ device: toBase64url(reader.bytes(16)), id: toBase64url(reader.bytes(16)) });
  return entries;
}

/** Number of the next message; the sequence record must be named. */
export function nextSequence(view: StoreView): number {
  const bytes = view.get(RECORDS.sequence);
  const next = (bytes === undefined ? 0 : new Reader(bytes, "sequence").u64()) + 1;
  view.put(RECORDS.sequence, u64be(next));
  return next;
}

/**
 * Adds a row to the archive and to its conversation. Needs (and asks for) the conversation's head and last page.
 * @returns the key of the page, to be named beforehand the next time
 */
export function addRow(view: StoreView, row: ArchiveRow): RecordKey {
  view.need(RECORDS.conversation(row.conversation));
  const head = getHead(view, row.conversation) ?? { firstPage: 0, lastPage: 0, lastRows: 0, total: 0, updatedAt: 0 };
  const full = head.lastRows >= PAGE_ROWS;
  const page = full ? head.lastPage + 1 : head.lastPage;
  const pageKey = RECORDS.historyPage(row.conversation, page);
  view.need(pageKey);
  putRow(view, row);
  view.put(pageKey, concat(view.get(pageKey) ?? new Uint8Array(0), fromBase64url(row.device), fromBase64url(row.id)));
  putHead(view, row.conversation, {
    firstPage: head.firstPage,
    lastPage: page,
    lastRows: full ? 1 : head.lastRows + 1,
    total: head.total + 1,
    updatedAt: Math.max(head.updatedAt, row.receivedAt),
  });
  return pageKey;
}
