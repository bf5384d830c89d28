/**
 * What one message says (docs/protocol.md §4): who, from which device, in which conversation, when, under which device lists, and
 * the application's bytes. It travels padded inside the sealed body. Who the sender really is comes from the session; the reader
 * compares (client: sender user, device, conversation), this file only carries.
 */
import { concat, lp32, Reader, u64be, wipe, type Bytes } from "../bytes.ts";
import { checkTime, encodeName, encodeU32, fixed, HASH_LENGTH, ID_LENGTH, readName } from "./fields.ts";

/** A device list by number and hash. */
export interface ListReference {
  readonly epoch: number;
  /** 32 bytes. */
  readonly hash: Bytes;
}

/** Where a message belongs. In a direct one `peer` is the recipient, also in the copy for the sender's own devices. */
export type Conversation = { readonly kind: "direct"; readonly peer: string } | { readonly kind: "group"; readonly group: string };

/** A decoded content. */
export interface Content {
  readonly senderUser: string;
  /** 16 bytes. */
  readonly senderDevice: Bytes;
  readonly conversation: Conversation;
  /** Milliseconds since 1970 by the sender's clock: shown, never compared. */
  readonly sentAt: number;
  /** The sender's own device list. */
  readonly senderList: ListReference;
  /** The recipient's list the sender used; undefined where there is no one recipient. */
  readonly recipientList: ListReference | undefined;
  /** 1 … 255 bytes of text, e.g. `text/plain`. */
  readonly mediaType: string;
  readonly body: Bytes;
  /** Instructions between clients; none exist yet. */
  readonly control: undefined;
}

const CONTENT_VERSION = 1;
const NO_CONTROL = 0;
const DIRECT = 1;
const GROUP = 2;
const MAX_MEDIA_TYPE_LENGTH = 255;

/** Content to bytes, unpadded. The caller wipes the result. @throws {MiyuError} ERR_USAGE for a field out of its range */
export function encodeContent(content: Content): Bytes {
  const { conversation, recipientList } = content;
  const body = lp32(content.body);
  try {
    return concat(
      Uint8Array.of(CONTENT_VERSION, NO_CONTROL),
      u64be(checkTime(content.sentAt, "sentAt")),
      encodeName(content.senderUser, "senderUser"),
      fixed(content.senderDevice, ID_LENGTH, "senderDevice"),
      Uint8Array.of(conversation.kind === "direct" ? DIRECT : GROUP),
      conversation.kind === "direct" ? encodeName(conversation.peer, "peer") : encodeName(conversation.group, "group"),
      encodeReference(content.senderList),
      recipientList === undefined ? Uint8Array.of(0) : concat(Uint8Array.of(1), encodeReference(recipientList)),
      encodeName(content.mediaType, "mediaType", MAX_MEDIA_TYPE_LENGTH),
      body,
    );
  } finally {
    wipe(body);
  }
}

/** Opposite of {@link encodeContent}. @throws {MiyuError} ERR_DECODE, ERR_VERSION (`what`: content, control) */
export function decodeContent(bytes: Uint8Array): Content {
  const reader = new Reader(bytes, "content");
  reader.version(CONTENT_VERSION);
  reader.version(NO_CONTROL, "control");
  const sentAt = reader.u64();
  const senderUser = readName(reader);
  const senderDevice = reader.bytes(ID_LENGTH);
  const conversation = readConversation(reader);
  const senderList = readReference(reader);
  const recipientList = readOptionalReference(reader);
  const mediaType = readName(reader, MAX_MEDIA_TYPE_LENGTH);
  const body = reader.lp32();
  reader.end();
  return { senderUser, senderDevice, conversation, sentAt, senderList, recipientList, mediaType, body, control: undefined };
}

function readConversation(reader: Reader): Conversation {
  const kind = reader.u8();
  if (kind === DIRECT) return { kind: "direct", peer: readName(reader) };
  if (kind === GROUP) return { kind: "group", group: readName(reader) };
  return reader.fail();
}

function encodeReference(reference: ListReference): Bytes {
  return concat(encodeU32(reference.epoch, "list epoch"), fixed(reference.hash, HASH_LENGTH, "list hash"));
}

function readReference(reader: Reader): ListReference {
  return { epoch: reader.u32(), hash: reader.bytes(HASH_LENGTH) };
}

function readOptionalReference(reader: Reader): ListReference | undefined {
  return reader.atMost(1) === 1 ? readReference(reader) : undefined;
}
