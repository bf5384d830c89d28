/**
 * What a store promises. One call of `transact` is one atomic, durable unit: the records named are read, a synchronous
 * function runs over them, its writes are committed together, and the result is handed out only after the commit.
 * A store carries opaque values; sealing them is the vault's business (`vault.ts`), which wraps any store and is one itself.
 */
import type { MiyuError } from "../errors.ts";

/** What a record is about. The number is the kind byte on disk; numbers are never used twice. */
export const RECORD_KINDS = {
  meta: 1,
  account: 2,
  peer: 3,
  session: 4,
  archivedSession: 5,
  skippedKeys: 6,
  preKey: 7,
  signedPreKey: 8,
  baseKeys: 9,
  outbox: 10,
  inbox: 11,
  archive: 12,
  conversation: 13,
  historyPage: 14,
} as const;

/** Name of a record kind. */
export type RecordKind = keyof typeof RECORD_KINDS;

/** Names one record: a kind and an identifier, unique within the kind. On disk: kind byte ‖ 16-byte keyed hash of the id. */
export interface RecordKey {
  readonly kind: RecordKind;
  /** Any text; not stored in clear by the vault. */
  readonly id: string;
}

/** The records of one transaction. Valid only while `fn` runs. */
export interface StoreView {
  /** The record's bytes (a copy), or undefined; sees earlier writes of this `fn`. @throws {MiyuError} ERR_USAGE for a key not named */
  get(key: RecordKey): Uint8Array<ArrayBuffer> | undefined;
  /** Writes a record; `value` is copied. @throws {MiyuError} ERR_USAGE for a key not named */
  put(key: RecordKey, value: Uint8Array): void;
  /** Removes a record. @throws {MiyuError} ERR_USAGE for a key not named */
  remove(key: RecordKey): void;
  /**
   * Makes sure that `keys` may be touched. If one of them was not named so far, `fn` is stopped here, the records are loaded, and
   * `fn` runs again from its start with its writes and hooks dropped; at most 6 times, then ERR_INTERNAL.
   */
  need(...keys: readonly RecordKey[]): void;
  /** Runs `hook` after the commit (wiping, for example), never if the transaction failed. */
  afterCommit(hook: () => void): void;
}

/** A record as `list` returns it. */
export interface ListedRecord {
  readonly id: string;
  readonly value: Uint8Array<ArrayBuffer>;
}

/** Options of `list`. */
export interface ListOptions {
  /** Continue after this id (ids are returned in the order of their UTF-16 code units). */
  readonly after?: string;
  /** At most this many records; all if left out. */
  readonly limit?: number;
  /** Called for each record that does not open (its id is not known), which is then left out. Without it, `list` rejects. */
  readonly onDamaged?: (error: MiyuError<"ERR_STORE_CORRUPT">) => void;
}

/** Keeps records. Implementations: memory, IndexedDB, Node (LevelDB), and the vault over any of them. */
export interface Store {
  /**
   * Runs `fn` once over the records of `keys` (and those it needs) in one read-write transaction and resolves with its result
   * after the commit is durable. If `fn` throws or returns a thenable, nothing is written and the call rejects.
   * Transactions of all clients on the same store, in any tab, worker or task, run one after another.
   * @throws {MiyuError} ERR_CLOSED, ERR_STORE_UNAVAILABLE, ERR_STORE_CORRUPT, ERR_STORE_LOST, ERR_QUOTA, ERR_USAGE
   */
  transact<T>(keys: readonly RecordKey[], fn: (view: StoreView) => T): Promise<T>;
  /** A snapshot of the records of one kind. Act on it only after checking again inside a `transact`. */
  list(kind: RecordKind, options?: ListOptions): Promise<readonly ListedRecord[]>;
  /** Waits for running transactions and lets go of the medium. Later calls reject with ERR_CLOSED. */
  close(): Promise<void>;
}

/** What a medium offers below the vault: opaque 17-byte keys and opaque values. */
export interface RawStore {
  /**
   * Runs the synchronous `fn` over the values of `keys` in one atomic, durable transaction and resolves with its result after the commit.
   * A key is the hexadecimal text of kind byte ‖ 16 bytes, or a name of the medium's own. If `fn` throws or returns a thenable, nothing is written.
   */
  transact<T>(keys: readonly string[], fn: (view: RawView) => T): Promise<T>;
  /** Snapshot of the values whose key starts with `prefix`, in the order of their keys. */
  list(prefix: string): Promise<readonly (readonly [key: string, value: Uint8Array<ArrayBuffer>])[]>;
  /** Holds the key that opens the vault, as well as the medium can. */
  readonly keySlot: KeySlot;
  /** Waits for running transactions and lets go of the medium. */
  close(): Promise<void>;
}

/** The raw records of one transaction. Valid only while `fn` runs; touching a key that was not named throws ERR_USAGE. */
export interface RawView {
  /** The value (a copy), or undefined; sees earlier writes of this `fn`. */
  get(key: string): Uint8Array<ArrayBuffer> | undefined;
  /** Writes a value, which is copied. */
  put(key: string, value: Uint8Array): void;
  /** Removes a value. */
  remove(key: string): void;
  /** Makes sure that `keys` may be touched: loads those not named so far and runs `fn` again from its start, writes and hooks dropped; at most 6 times. */
  need(...keys: readonly string[]): void;
  /** Runs `hook` after the commit, never if the transaction failed. */
  afterCommit(hook: () => void): void;
}

/** How well the medium guards the device key. */
export type Protection =
  /** A non-extractable `CryptoKey` kept by the browser: code in the page cannot export it, but the disk is not encrypted by it. */
  | "crypto-key"
  /** Raw key bytes in a record beside the data (a browser that cannot keep a `CryptoKey`). */
  | "key-record"
  /** Raw key bytes in a file readable by the owner only (Node). */
  | "key-file"
  /** Nothing at rest: the data lives in memory. */
  | "memory";

/** Wraps the vault's data key under something only this device has (slot kind 2). */
export interface KeySlot {
  /** What guards the key. Where that has to be tried out first, it is only certain after a `wrap` or `unwrap`. */
  readonly protection: Protection;
  /**
   * Wraps `key` (32 bytes) and makes whatever is needed to unwrap it durable before resolving. Called only to make a vault.
   * @throws {MiyuError} ERR_STORE_LOST if the medium knows that there was a vault before
   */
  wrap(key: Uint8Array): Promise<Uint8Array<ArrayBuffer>>;
  /** Unwraps what `wrap` returned. @throws {MiyuError} ERR_STORE_LOST if the device key is gone, ERR_STORE_CORRUPT if it does not fit */
  unwrap(wrapped: Uint8Array): Promise<Uint8Array<ArrayBuffer>>;
}
