/**
 * The two message kinds of a session on the wire: SignalMessage (version byte ‖ protobuf ‖ MAC 8) and PreKeySignalMessage
 * (version byte ‖ protobuf, around a whole SignalMessage). Byte layout and reader tolerance: docs/interop.md.
 * Parsing is public knowledge and believes nothing; the MAC is over the received bytes verbatim, never over a re-encoding.
 */
import { concat, copy, type Bytes } from "../bytes.ts";
import type { Crypto } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import { encodeProtobuf, ProtobufReader } from "./codec.ts";
import { deserializePublicKey } from "./keys.ts";

/** Message version of the classic suite (X3DH). */
export const CLASSIC_VERSION = 3;

/** Newest version whose messages can be told apart; older than 3 and newer than 4 do not parse. */
const NEWEST_VERSION = 4;

/** Length of the MAC at the end of a SignalMessage in bytes. */
const MAC_LENGTH = 8;

const SIGNAL_MESSAGE = "signal message";
const PRE_KEY_MESSAGE = "pre-key message";

/** A parsed message of a running session. Nothing of it is authenticated before its MAC was checked. */
export interface SignalMessage {
  /** 3 or 4, from the high nibble of the version byte. */
  readonly version: number;
  /** The sender's ratchet key, 33 bytes. */
  readonly ratchetKey: Bytes;
  readonly counter: number;
  readonly previousCounter: number;
  /** AES-256-CBC. */
  readonly ciphertext: Uint8Array;
  /** Version byte ‖ protobuf, as received. */
  readonly authenticated: Uint8Array;
  /** 8 bytes. */
  readonly mac: Uint8Array;
}

/** What goes into a new SignalMessage. */
export interface SignalMessageContent {
  readonly version: number;
  readonly ratchetKey: Uint8Array;
  readonly counter: number;
  readonly previousCounter: number;
  readonly ciphertext: Uint8Array;
}

/** The parties of one message, whoever initiated the session. Serialized identity keys, 33 bytes each. */
export interface MessageParties {
  readonly sender: Uint8Array;
  readonly receiver: Uint8Array;
}

/** A parsed first message. Unsigned and without a MAC of its own: the inner message alone is authenticated. */
export interface PreKeySignalMessage {
  /** 3 or 4, from the high nibble of the version byte. */
  readonly version: number;
  /** The sender's registration id; not authenticated. */
  readonly registrationId: number;
  /** Absent if the sender's bundle had no one-time prekey. */
  readonly oneTimePreKeyId?: number;
  readonly signedPreKeyId: number;
  /** The sender's base key, 33 bytes: names the session. */
  readonly baseKey: Bytes;
  /** The sender's identity key, 33 bytes. */
  readonly identityKey: Bytes;
  readonly message: SignalMessage;
}

/** What goes into a new PreKeySignalMessage. */
export interface PreKeySignalMessageContent {
  readonly version: number;
  readonly registrationId: number;
  readonly oneTimePreKeyId: number | undefined;
  readonly signedPreKeyId: number;
  readonly baseKey: Uint8Array;
  readonly identityKey: Uint8Array;
  /** A whole SignalMessage with its MAC. */
  readonly message: Uint8Array;
}

/** Encodes a SignalMessage and its MAC under `macKey` (32 bytes). */
export function encodeSignalMessage(crypto: Crypto, content: SignalMessageContent, macKey: Uint8Array, parties: MessageParties): Bytes {
  const { version, ratchetKey, counter, previousCounter, ciphertext } = content;
  const fields = [[1, ratchetKey], [2, counter], [3, previousCounter], [4, ciphertext]] as const;
  const out = encodeProtobuf(fields, { before: 1, after: MAC_LENGTH });
  out[0] = versionByte(version);
  const end = out.length - MAC_LENGTH;
  out.set(messageMac(crypto, macKey, parties, out.subarray(0, end)), end);
  return out;
}

/** Parses a SignalMessage; the result owns its bytes. @throws {MiyuError} ERR_DECODE, ERR_VERSION for one below 3 or above 4 */
export function decodeSignalMessage(bytes: Uint8Array): SignalMessage {
  return parseSignalMessage(copy(bytes));
}

/** Checks the MAC in constant time. @throws {MiyuError} ERR_DECRYPT */
export function verifyMac(crypto: Crypto, message: SignalMessage, macKey: Uint8Array, parties: MessageParties): void {
  const mac = messageMac(crypto, macKey, parties, message.authenticated);
  if (!crypto.equal(mac, message.mac)) throw new MiyuError("ERR_DECRYPT");
}

/** Encodes a PreKeySignalMessage. */
export function encodePreKeySignalMessage(content: PreKeySignalMessageContent): Bytes {
  const { version, registrationId, oneTimePreKeyId, signedPreKeyId, baseKey, identityKey, message } = content;
  const fields = [[1, oneTimePreKeyId], [2, baseKey], [3, identityKey], [4, message], [5, registrationId], [6, signedPreKeyId]] as const;
  const out = encodeProtobuf(fields, { before: 1 });
  out[0] = versionByte(version);
  return out;
}

/**
 * Parses a PreKeySignalMessage and the message inside; the result owns its bytes. Lets a caller see the claimed identity key
 * before it decrypts. Fields only newer versions have are passed over.
 * @throws {MiyuError} ERR_DECODE, ERR_VERSION for one below 3 or above 4
 */
export function decodePreKeySignalMessage(bytes: Uint8Array): PreKeySignalMessage {
  const owned = copy(bytes);
  const version = readVersion(owned, PRE_KEY_MESSAGE);
  const reader: ProtobufReader = new ProtobufReader(owned.subarray(1), PRE_KEY_MESSAGE);
  let registrationId = 0;
  let oneTimePreKeyId: number | undefined;
  let signedPreKeyId: number | undefined;
  let baseKey: Uint8Array | undefined;
  let identityKey: Uint8Array | undefined;
  let message: Uint8Array | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        oneTimePreKeyId = reader.u32();
        break;
      case 2:
        baseKey = reader.bytes();
        break;
      case 3:
        identityKey = reader.bytes();
        break;
      case 4:
        message = reader.bytes();
        break;
      case 5:
        registrationId = reader.u32();
        break;
      case 6:
        signedPreKeyId = reader.u32();
        break;
      default:
        reader.skip();
    }
  }
  if (signedPreKeyId === undefined || baseKey === undefined || identityKey === undefined || message === undefined) reader.fail();
  return {
    version,
    registrationId,
    ...(oneTimePreKeyId !== undefined && { oneTimePreKeyId }),
    signedPreKeyId,
    baseKey: deserializePublicKey(baseKey, PRE_KEY_MESSAGE),
    identityKey: deserializePublicKey(identityKey, PRE_KEY_MESSAGE),
    message: parseSignalMessage(message),
  };
}

function parseSignalMessage(owned: Uint8Array): SignalMessage {
  const version = readVersion(owned, SIGNAL_MESSAGE);
  const end = owned.length - MAC_LENGTH;
  if (end < 1) throw new MiyuError("ERR_DECODE", { what: SIGNAL_MESSAGE });
  const reader: ProtobufReader = new ProtobufReader(owned.subarray(1, end), SIGNAL_MESSAGE);
  let ratchetKey: Uint8Array | undefined;
  let counter: number | undefined;
  let previousCounter = 0;
  let ciphertext: Uint8Array | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        ratchetKey = reader.bytes();
        break;
      case 2:
        counter = reader.u32();
        break;
      case 3:
        previousCounter = reader.u32();
        break;
      case 4:
        ciphertext = reader.bytes();
        break;
      default:
        reader.skip();
    }
  }
  if (ratchetKey === undefined || counter === undefined || ciphertext === undefined) reader.fail();
  return {
    version,
    ratchetKey: deserializePublicKey(ratchetKey, SIGNAL_MESSAGE),
    counter,
    previousCounter,
    ciphertext,
    authenticated: owned.subarray(0, end),
    mac: owned.subarray(end),
  };
}

/** Both nibbles: this message's version, and the newest the writer knows. Readers look at the high one only. */
function versionByte(version: number): number {
  return (version << 4) | version;
}

function readVersion(bytes: Uint8Array, what: string): number {
  const first = bytes[0];
  if (first === undefined) throw new MiyuError("ERR_DECODE", { what });
  const version = first >>> 4;
  if (version < CLASSIC_VERSION || version > NEWEST_VERSION) throw new MiyuError("ERR_VERSION", { what, version });
  return version;
}

/** First 8 bytes of HMAC(macKey, sender ‖ receiver ‖ version byte ‖ protobuf): binds both identities to every message. */
function messageMac(crypto: Crypto, macKey: Uint8Array, parties: MessageParties, authenticated: Uint8Array): Uint8Array {
  return crypto.hmacSha256(macKey, concat(parties.sender, parties.receiver, authenticated)).subarray(0, MAC_LENGTH);
}
