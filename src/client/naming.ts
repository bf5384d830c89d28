/** Names of things: storage of a user, message ids, and the keys of the records a client keeps. */
import { concat, fromBase64url, toBase64url, toHex, utf8, type Bytes } from "../bytes.ts";
import type { Crypto, Random } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import type { RecordKey } from "../store/types.ts";
import type { DeviceId, UserId } from "../transport/types.ts";

const ID_LENGTH = 16;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Name of the database of `user`: `miyu-` ‖ base64url(SHA-256("miyu/db/v1\0" ‖ user)). */
export function storageName(crypto: Crypto, user: UserId): string {
  return `miyu-${toBase64url(crypto.sha256(concat(utf8("miyu/db/v1\0"), utf8(user))))}`;
}

/** The 16 bytes of a message id: fresh, or those the caller chose as base64url or UUID. @throws {MiyuError} ERR_USAGE */
export function messageIdBytes(id: string | undefined, random: Random): Bytes {
  if (id === undefined) return random(ID_LENGTH);
  try {
    const bytes = UUID.test(id) ? uuidBytes(id) : fromBase64url(id);
    if (bytes.length === ID_LENGTH) return bytes;
  } catch {
    // Said below.
  }
  throw new MiyuError("ERR_USAGE", { reason: "id must be 16 bytes, as base64url or UUID" });
}

function uuidBytes(uuid: string): Bytes {
  const hex = uuid.replaceAll("-", "");
  return Uint8Array.from({ length: ID_LENGTH }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

/** Names the sessions with a device of a user. */
export type SessionName = string;

/**
 * Name of the sessions with `device` as a device of `user`: device ‖ `/` ‖ base64url of the first 16 bytes of SHA-256(user). Not the
 * device alone: its id is chosen by whoever signs the list, so another user could claim it and push the sessions of its owner out.
 */
export function sessionName(crypto: Crypto, user: UserId, device: DeviceId): SessionName {
  return `${device}/${toBase64url(crypto.sha256(utf8(user)).subarray(0, ID_LENGTH))}`;
}

/** Keys of the records. A client touches no others. */
export const RECORDS = {
  /** Private keys and ids of this device; written once. */
  identity: { kind: "account", id: "identity" },
  /** The own device list. */
  ownList: { kind: "account", id: "list" },
  /** Which prekeys exist. */
  preKeyStock: { kind: "meta", id: "prekeys" },
  fence: { kind: "meta", id: "fence" },
  /** Number of the newest message. */
  sequence: { kind: "meta", id: "sequence" },
  /** Sessions the other side began and this one has not answered. */
  unanswered: { kind: "meta", id: "unanswered" },
  /** When pruning last ran. */
  clock: { kind: "meta", id: "clock" },
  peer: (user: UserId): RecordKey => ({ kind: "peer", id: user }),
  session: (session: SessionName): RecordKey => ({ kind: "session", id: session }),
  /** A part of a session record: `s/…` an archived session, `k/…` a page of skipped keys. */
  sessionPart: (session: SessionName, name: string): RecordKey => ({ kind: name.startsWith("s/") ? "archivedSession" : "skippedKeys", id: `${session}/${name}` }),
  preKey: (id: number): RecordKey => ({ kind: "preKey", id: String(id) }),
  signedPreKey: (id: number): RecordKey => ({ kind: "signedPreKey", id: String(id) }),
  /** Says that a base key was used with a signed prekey. */
  baseKey: (crypto: Crypto, signedPreKeyId: number, baseKey: Uint8Array): RecordKey => ({
    kind: "baseKeys",
    id: `${String(signedPreKeyId)}/${toHex(crypto.sha256(baseKey).subarray(0, 16))}`,
  }),
  outbox: (message: string): RecordKey => ({ kind: "outbox", id: message }),
  inbox: (device: DeviceId, message: string): RecordKey => ({ kind: "inbox", id: `${device}/${message}` }),
  archive: (device: DeviceId, message: string): RecordKey => ({ kind: "archive", id: `${device}/${message}` }),
  conversation: (id: string): RecordKey => ({ kind: "conversation", id }),
  historyPage: (conversation: string, page: number): RecordKey => ({ kind: "historyPage", id: `${String(page)}/${conversation}` }),
} as const;
