/**
 * What Miyu sits on. A transport carries opaque frames between users of an IM that exists; a directory is where public keys are found.
 * Both are untrusted for everything but delivery. An adapter is ~100 lines: repairs belong to wrappers, policy to the client.
 */

/** The IM's own user id: opaque text, compared as is. */
export type UserId = string;
/** Miyu's device id: 16 random bytes in base64url, made with the device's keys; never the IM's device number. */
export type DeviceId = string;
/** The IM's own group id. */
export type GroupId = string;

/** Where a frame goes. */
export type Dest =
  | { readonly kind: "user"; readonly user: UserId }
  | { readonly kind: "device"; readonly user: UserId; readonly device: DeviceId }
  | { readonly kind: "group"; readonly group: GroupId }
  | { readonly kind: "members"; readonly group: GroupId; readonly users: readonly UserId[] };

/** `chat` may be shown by clients that cannot decrypt, `control` must stay invisible, `ephemeral` may be lost. */
export type FrameClass = "chat" | "control" | "ephemeral";

/** What a transport can do. */
export interface TransportCaps {
  /** `text`: the client hands over `miyu1.` + base64url as UTF-8 bytes; `bytes`: the envelope as it is. */
  readonly payload: "bytes" | "text";
  /** Largest body of one send, in bytes (UTF-8 bytes for `text`). */
  readonly maxPayload: number;
  /** Kinds of destination it accepts; at least one of `user`, `group`, `device`. */
  readonly dests: readonly Dest["kind"][];
  /** Which of the sender's devices get a copy of what it sends. */
  readonly ownCopy: "none" | "other-devices" | "all-devices";
  /** What happens to frames for a device that is offline. */
  readonly offline: "none" | "bounded" | "durable";
  /** Order it keeps. Miyu needs none. */
  readonly order: "none" | "per-sender" | "per-conversation";
  /** Whether two sends with the same `key` count as one. */
  readonly idempotentSend: boolean;
  /** How fast it may be used. */
  readonly pace?: { readonly minGapMs?: number; readonly perSecond?: number; readonly inFlight?: number };
}

/** A frame on its way out. */
export interface OutFrame {
  readonly dest: Dest;
  /** Opaque to the adapter. */
  readonly body: Uint8Array;
  readonly class: FrameClass;
  /** Idempotency key: the same on every resend of the same frame. */
  readonly key: string;
  /** Shown by clients that cannot decrypt, and used for push. Never derived from the content. */
  readonly placeholder?: string;
  /** Passed through untouched and NOT encrypted (a vendor's mentions, extensions …). */
  readonly appMeta?: unknown;
}

/** The server's word that it took a frame. */
export interface Sent {
  /** The server's id of the message, if it gives one. */
  readonly id?: string;
  /** The server's time, milliseconds since 1970. */
  readonly at?: number;
}

/** A frame that came in. Nothing in it is trusted except for routing. */
export interface InFrame {
  /** Who sent it, as the transport claims; checked against the session that opens it. */
  readonly from: UserId;
  readonly conversation: { readonly kind: "direct"; readonly peer: UserId } | { readonly kind: "group"; readonly group: GroupId };
  /** In the form it was sent: the envelope, or for `payload: "text"` the UTF-8 bytes of `miyu1.` + base64url. */
  readonly body: Uint8Array;
  readonly id?: string;
  readonly at?: number;
  /** A hint why it came, if the adapter knows. */
  readonly replay?: "echo" | "own-device" | "history";
  /** The vendor's message object, passed through. */
  readonly raw?: unknown;
  /** Tells the server to forget it. Called only after the result is durable. */
  ack?(): void | Promise<void>;
}

/** Carries frames. Only these members are mandatory; all else has a fallback in the client. */
export interface Transport {
  /** The user this connection belongs to. */
  readonly self: UserId;
  readonly caps: TransportCaps;
  /**
   * Resolves when the server accepted the frame.
   * @throws {MiyuError} ERR_TRANSPORT_UNAVAILABLE (retry), ERR_TRANSPORT_REJECTED, ERR_TOO_LARGE, ERR_ABORTED, ERR_CLOSED
   */
  send(frame: OutFrame, options?: { readonly signal?: AbortSignal }): Promise<Sent>;
  /** Names the device of this client. Called once, before `subscribe`, for transports that keep a mailbox per device. */
  attach?(device: DeviceId): void;
  /** Calls `on` for every incoming frame, one at a time in order of arrival, waiting for its promise. Returns the opposite call. */
  subscribe(on: (frame: InFrame) => void | Promise<void>): () => void;
  /** Calls `on` with the connection's state, first with the present one. Returns the opposite call. */
  onState?(on: (state: "online" | "offline") => void): () => void;
  /** Ends the connection. */
  close?(): Promise<void>;
}

/** The pair a directory compares and sets, so that two copies of one device cannot both send. */
export interface Fence {
  readonly epoch: number;
  /** 16 random bytes, base64url. */
  readonly nonce: string;
}

/** What a directory can do. */
export interface DirectoryCaps {
  /** Largest record it keeps, bytes. */
  readonly maxRecord: number;
  /** Whether it hands out each one-time prekey exactly once (`claim`, `stock`). */
  readonly oneTime: boolean;
}

/** A user's public record, with the version to pass to `publish`. */
export interface DirectoryRecord {
  /** Signed device list and the signed bundle of each device; opaque to the directory. */
  readonly record: Uint8Array;
  /** Changes with every publish. */
  readonly version: string;
}

/** Where peers find public keys. Every record is signed by the client; the directory is untrusted. */
export interface Directory {
  readonly caps: DirectoryCaps;
  /** The user's record, or undefined if there is none. */
  read(user: UserId, options?: { readonly signal?: AbortSignal }): Promise<DirectoryRecord | undefined>;
  /**
   * Replaces the own record. `expect` is the version read before, null for "there is none".
   * @returns the new version, or undefined if the record has another version by now (read, merge, try again)
   */
  publish(record: Uint8Array, expect: string | null, options?: { readonly signal?: AbortSignal }): Promise<string | undefined>;
  /** Takes one one-time prekey of a peer's device out of the directory; undefined if none is left. Each is handed out once. */
  claim?(user: UserId, device: DeviceId, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array | undefined>;
  /** Adds one-time prekeys of an own device and resolves with the number now in stock; an empty list only asks. */
  stock?(device: DeviceId, keys: readonly Uint8Array[], options?: { readonly signal?: AbortSignal }): Promise<number>;
  /** Drops what is kept for an own device that is no longer in use: its mailbox, one-time prekeys and fence. */
  forget?(device: DeviceId, options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Calls `on` when the user's record may have changed. */
  watch?(user: UserId, on: () => void): () => void;
  /**
   * Compare-and-set of the device's fence; null expects none. Also true if `next` is set already (the answer to an earlier call was lost), or if
   * the directory has none or one of a lower epoch than `expect` (it lost what it knew). Resolves false if another copy of the device holds it.
   */
  fence?(device: DeviceId, expect: Fence | null, next: Fence): Promise<boolean>;
}

/** Who is in a group, by the server's word. */
export interface Membership {
  /** The members; `complete` false if the server may know more. */
  members(group: GroupId): Promise<{ readonly users: readonly UserId[]; readonly complete: boolean; readonly version?: string }>;
  /** Calls `on` when somebody joined or left; without names: read again. Returns the opposite call. */
  onChange?(on: (change: { readonly group: GroupId; readonly joined?: readonly UserId[]; readonly left?: readonly UserId[] }) => void): () => void;
}

/** Keeps opaque files. */
export interface BlobStore {
  readonly caps: { readonly maxBytes: number; readonly ttlDays?: number };
  /** Stores a blob and resolves with its locator. */
  put(blob: Blob, options?: { readonly dest?: Dest; readonly signal?: AbortSignal; readonly onProgress?: (done: number, total: number) => void }): Promise<string>;
  /** Fetches a blob by its locator. */
  get(locator: string, options?: { readonly signal?: AbortSignal; readonly maxBytes?: number }): Promise<Blob>;
}

/** Everything an IM offers, as one value. */
export interface Adapter {
  readonly transport: Transport;
  readonly directory?: Directory;
  readonly membership?: Membership;
  readonly blobs?: BlobStore;
}
