/**
 * The public surface of a client: what an app passes in, calls, and sees. Values only; behaviour is in the files beside this one.
 */
import type { Bytes } from "../bytes.ts";
import type { Crypto, Random } from "../crypto/types.ts";
import type { MiyuError } from "../errors.ts";
import type { Protection, RawStore } from "../store/types.ts";
import type { Adapter, DeviceId, Directory, Sent, TransportCaps, UserId } from "../transport/types.ts";

/** A suite of key agreement and ratchet. `x3dh`: X3DH + Double Ratchet, message version 3. */
export type Suite = "x3dh";

/** Choices that weigh safety against convenience. */
export interface Policy {
  /** Suites allowed, best first. */
  readonly suites: readonly Suite[];
  /** Where the directory offers a fence: `require` sends nothing until it is granted, `prefer` goes on without. */
  readonly fence: "require" | "prefer";
  /** Days a message stays in the archive at least. */
  readonly archiveDays: number;
  /** Messages of a conversation that stay in the archive at least. */
  readonly archiveMessages: number;
}

/** What `createClient` takes. */
export interface ClientOptions {
  /** The user's id in the IM: opaque, not empty, at most 1,024 bytes of UTF-8. */
  readonly user: UserId;
  /** The IM, driven by the client. Leave it out to keep your own IM code and only seal and open. */
  readonly adapter?: Adapter;
  /** Where public keys are found, if there is no adapter or the adapter has none. */
  readonly directory?: Directory;
  /** Without an adapter: sends a control text (`miyu1.…`) to a user, invisibly. Without it, keys are found through the directory only. */
  readonly post?: (to: UserId, text: string) => void | Promise<void>;
  /** Where state is kept. Default: IndexedDB in browsers, a directory (`dataDir`) in Node. */
  readonly store?: RawStore | Promise<RawStore>;
  /** In Node: the directory of the default store. */
  readonly dataDir?: string;
  /** Primitives. Default: libsodium where WebAssembly may be compiled, else noble. */
  readonly crypto?: Crypto | Promise<Crypto>;
  /** Source of randomness. Default: the platform's `getRandomValues`. */
  readonly random?: Random;
  /** Milliseconds since 1970. Default: `Date.now`. */
  readonly now?: () => number;
  /** Default: see {@link Policy}; `{ suites: ["x3dh"], fence: "require", archiveDays: 90, archiveMessages: 1000 }`. */
  readonly policy?: Partial<Policy>;
  /** Keep plaintext of messages for `history` and repeated decrypts. Default true; false keeps ids and hashes only. */
  readonly archive?: boolean;
  /** Brings back the account of an exported file: same account key, new device. Refused if the store already has an account. */
  readonly restore?: { readonly file: Uint8Array; readonly passphrase: string };
}

/** What is sent: text, or bytes of any media type. */
export type Outgoing = string | { readonly mediaType: string; readonly body: Uint8Array | string };

/** A user's device. */
export interface Sender {
  readonly user: UserId;
  readonly device: DeviceId;
}

/**
 * How far the sender's account key is trusted: seen first and pinned (`first-use`), compared by a person (`verified`),
 * or different from the pinned one and not yet accepted (`changed`).
 */
export type Trust = "first-use" | "verified" | "changed";

/** State of an own message: waiting for keys, sealed and on its way, taken by the server, refused, or handed to the app (`encrypt`). */
export type Delivery = "waiting" | "ready" | "accepted" | "failed" | "sealed";

/** A message, received or sent. */
export interface Message {
  readonly kind: "message";
  /** Envelope id, 16 bytes in base64url: the same on every device. */
  readonly id: string;
  readonly from: Sender;
  /** The other user of a direct conversation. */
  readonly conversation: string;
  /** Whether this user sent it (from any device). */
  readonly own: boolean;
  /** By the sender's clock, milliseconds since 1970. Shown, never compared. */
  readonly sentAt: number;
  /** By this device's clock, milliseconds since 1970. */
  readonly receivedAt: number;
  readonly mediaType: string;
  /** Text of a `text/…` message in UTF-8, else undefined. */
  readonly text: string | undefined;
  /** The content's bytes; yours to keep. */
  readonly body: Bytes;
  readonly trust: Trust;
  /** For own messages sent from this device. */
  readonly delivery?: Delivery;
}

/** Why a message did not open. */
export type Cause = "no-session" | "prekey-gone" | "too-old" | "identity-changed" | "corrupt" | "device-not-listed" | "version";

/** What can be done about it: wait (it will be tried again), compare safety numbers, update the app, or nothing. */
export type Remedy = "wait" | "verify" | "update" | "none";

/** A message that did not open. The session lives on. */
export interface Undecryptable {
  readonly kind: "undecryptable";
  /** Envelope id in base64url where the frame was readable that far, else empty. */
  readonly id: string;
  /** Who the transport says sent it. */
  readonly from: UserId;
  readonly cause: Cause;
  readonly remedy: Remedy;
  /** Messages of this user that failed with this cause since the client was created. */
  readonly count: number;
}

/** A frame of the protocol's own (request for keys or the reply). Nothing to show. */
export interface Control {
  readonly kind: "control";
  readonly from: UserId;
}

/** A message that was opened before and whose plaintext is no longer kept. */
export interface Duplicate {
  readonly kind: "duplicate";
  readonly id: string;
  readonly from: UserId;
}

/** What `decrypt` returns. */
export type Opened = Message | Undecryptable | Control | Duplicate;

/** What `encrypt` returns: the sealed message as bytes and as text. */
export interface Sealed {
  /** Envelope id, base64url. */
  readonly id: string;
  /** The envelope. */
  readonly body: Bytes;
  /** `miyu1.` ‖ base64url of the envelope, for an IM that carries text. */
  readonly text: string;
}

/** What `send` returns: the message is durable and will go out, whatever happens to this process. */
export interface Sending {
  /** Envelope id, base64url. */
  readonly id: string;
  /**
   * Resolves when the server took it. Nobody need wait for it or handle its rejection: a `blocked` event says the same.
   * @throws {MiyuError} ERR_TRANSPORT_REJECTED, ERR_TOO_LARGE, ERR_CLOSED
   */
  accepted(): Promise<Sent>;
}

/** Something the app may show or act on. `id` is stable: a repeated delivery has the same. */
export type ClientEvent =
  | Message
  | Undecryptable
  /** The server took an own message. */
  | { readonly kind: "accepted"; readonly id: string; readonly conversation: string; readonly at: number }
  /** An own message cannot go out: refused by the server, or held back until the user decides (`error.code`). */
  | { readonly kind: "blocked"; readonly id: string; readonly conversation: string; readonly error: MiyuError }
  /** A user's account key is not the pinned one. Nothing is sent to them until `trust` is called. */
  | { readonly kind: "identity-changed"; readonly id: string; readonly user: UserId }
  /** A session was made without a one-time prekey (weaker forward secrecy of its first message), or refilling hit its daily limit. */
  | { readonly kind: "prekeys"; readonly id: string; readonly reason: "no-one-time-key" | "refill-limit"; readonly user: UserId }
  /** Another copy of this device is in use, or its state went back: sending is stopped. */
  | { readonly kind: "fence-refused"; readonly id: string }
  /** This device is no longer on its account's list. */
  | { readonly kind: "device-removed"; readonly id: string }
  /** The connection came or went. */
  | { readonly kind: "connection"; readonly id: string; readonly state: "online" | "offline" };

/** A conversation as `conversations` lists it. */
export interface Conversation {
  /** The other user. */
  readonly id: string;
  /** Messages in it. */
  readonly messages: number;
  /** When the newest came or was sent, milliseconds since 1970. */
  readonly updatedAt: number;
}

/** What two people compare. */
export interface SafetyNumber {
  /** 60 decimal digits. */
  readonly digits: string;
  /** Payload of a QR code. */
  readonly scannable: Bytes;
  /** Trust in the key this number belongs to. */
  readonly trust: Trust;
}

/** One thing that is weaker than it could be, and why. */
export interface Weakness {
  readonly what: "suite" | "device-key" | "one-time-prekeys" | "fence" | "archive" | "directory";
  readonly why: string;
}

/** What this client runs on. */
export interface Description {
  readonly user: UserId;
  readonly device: DeviceId;
  readonly suites: readonly Suite[];
  readonly crypto: string;
  readonly protection: Protection;
  readonly transport: TransportCaps | undefined;
  readonly weaker: readonly Weakness[];
}

/** One user's device: seals, opens, sends, receives. After `close` every method rejects with ERR_CLOSED, `events` throws it. */
export interface Client {
  readonly user: UserId;
  /** This device, base64url of 16 bytes. */
  readonly device: DeviceId;
  readonly crypto: { readonly name: string };
  /** How well the device key is guarded at rest. */
  readonly protection: Protection;
  readonly policy: Policy;

  /**
   * Seals a message for all devices of `to`. Resolves only after the new state is durable. The same `id` with the same content
   * gives the same bytes; with other content ERR_USAGE. `id`: 16 bytes as base64url or UUID; fresh if left out.
   * @throws {MiyuError} ERR_USAGE, ERR_NO_SESSION (no keys to be found), ERR_IDENTITY_CHANGED, ERR_DOWNGRADE, ERR_DEVICE_LIST,
   * ERR_SIGNATURE, ERR_TOO_LARGE, ERR_TRANSPORT_UNAVAILABLE, ERR_ROLLBACK, ERR_ABORTED, ERR_CLOSED, and the store's
   */
  encrypt(to: UserId, content: Outgoing, options?: { readonly id?: string; readonly signal?: AbortSignal }): Promise<Sealed>;
  /**
   * Opens what `encrypt` made. Idempotent: the same body gives the same result. A message that does not open is a result, not an error.
   * `from` is the IM's word for who sent it and is checked against the session.
   * @throws {MiyuError} ERR_USAGE, ERR_ABORTED, ERR_CLOSED, and the store's
   */
  decrypt(input: { readonly from: UserId; readonly body: Uint8Array | string }, options?: { readonly signal?: AbortSignal }): Promise<Opened>;
  /**
   * Seals and sends through the adapter. Once it resolves, the message survives a crash and goes out when it can.
   * @throws {MiyuError} ERR_USAGE (no adapter), ERR_IDENTITY_CHANGED, ERR_TOO_LARGE, ERR_ABORTED, ERR_CLOSED, and the store's
   */
  send(to: UserId, content: Outgoing, options?: { readonly id?: string; readonly signal?: AbortSignal }): Promise<Sending>;
  /**
   * Everything that happens. Messages come at least once: one counts as taken when the consumer asks for the next event, and what was
   * not taken is delivered again after a restart. Several iterators each see all. Ends on `close` or when `signal` fires.
   * @throws {MiyuError} ERR_CLOSED
   */
  events(options?: { readonly signal?: AbortSignal }): AsyncIterableIterator<ClientEvent>;
  /** Messages of a conversation, oldest first, ending before message `before`; `limit` 1–1,000, default 50. */
  history(query: { readonly conversation: string; readonly before?: string; readonly limit?: number }): Promise<readonly Message[]>;
  /** All conversations, newest first. */
  conversations(): Promise<readonly Conversation[]>;
  /**
   * The number two people compare; covers all devices of both. If the user's key changed, the number of the new key.
   * @throws {MiyuError} ERR_NO_SESSION if the user's keys are not known and cannot be read
   */
  safetyNumber(user: UserId): Promise<SafetyNumber>;
  /**
   * Marks the user's present key as verified, after a person compared `number` (60 digits, spaces allowed, or the scanned payload).
   * @throws {MiyuError} ERR_IDENTITY_CHANGED if the number is not the one of the key pending at that instant
   */
  trust(user: UserId, number: string | Uint8Array): Promise<void>;
  /** The account key under a passphrase (Argon2id), for `createClient({ restore })`. Holds no session, no prekey and no device id. */
  exportAccount(passphrase: string): Promise<Bytes>;
  /** What this client runs on and what is weaker than it could be. */
  describe(): Promise<Description>;
  /** Lets running work finish, ends the connection and lets go of the store. */
  close(): Promise<void>;
}
