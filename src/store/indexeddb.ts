/**
 * A store in the browser's IndexedDB: one database, one object store, raw keys as keys and sealed frames as values. A read-write
 * transaction over an object store is the lock that all tabs and workers share, so nothing else is needed to keep them apart.
 * Inside a transaction only its own requests are awaited: it would end under anything else. Durability is strict, and results are
 * given out only after `complete`. Nothing is ever cleared: a browser out of disk space may answer `clear()` with an empty database.
 */
import { promisifyRequest, type UseStore } from "idb-keyval";
import { type Bytes } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import { JobQueue, type Commit } from "./batch.ts";
import { openHandle } from "./handle.ts";
import { browserKeySlot } from "./browserKey.ts";
import type { RawStore } from "./types.ts";

const OBJECT_STORE = "records";
const DATABASE_VERSION = 1;

/** Names the medium keeps for itself begin with it; `list` leaves them out. */
const OWN_NAME = ".";

/** Where an {@link indexedDbStore} lives. */
export interface IndexedDbOptions {
  /** Name of the database: one per account. @defaultValue `"miyu"` */
  readonly name?: string;
}

/**
 * A store in IndexedDB, opened on first use. Any number of tabs and workers may use the same `name` at once. If another tab deletes
 * or upgrades the database, the connection is closed at once so as not to be in its way, and opened anew on the next call.
 * Protection: `"crypto-key"`, or `"key-record"` where the browser cannot keep a `CryptoKey`.
 */
export function indexedDbStore(options: IndexedDbOptions = {}): RawStore {
  const connection = new Connection(options.name ?? "miyu");
  const queue = new JobQueue(commitThrough(connection.use));
  const store: RawStore = {
    transact: (keys, fn) => queue.submit(keys, fn),
    list: (prefix) => listThrough(connection.use, prefix),
    keySlot: browserKeySlot(connection.use, OWN_NAME),
    close: () => connection.close(),
  };
  return openHandle(store, "IndexedDB store");
}

/** One connection to the database, opened when needed and opened once more if it turns out to be closed. */
class Connection {
  readonly #name: string;
  #opening: Promise<IDBDatabase> | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  /**
   * Runs `callback` over the object store of a new strict transaction; resolves after `complete` with what it returned. If
   * `callback` fails, the transaction is aborted.
   */
  readonly use: UseStore = async (mode, callback) => {
    try {
      const transaction = await this.#begin(mode);
      return await runTransaction(transaction, callback);
    } catch (error) {
      // Whatever it was, a fresh connection is safe: Safari loses them while the page sleeps.
      if (isConnectionLoss(error)) await this.close();
      throw storeError(error);
    }
  };

  async close(): Promise<void> {
    const opening = this.#opening;
    this.#opening = undefined;
    // It waits for running transactions by itself.
    await opening?.then(
      (database) => {
        database.close();
      },
      () => undefined,
    );
  }

  async #begin(mode: IDBTransactionMode): Promise<IDBTransaction> {
    const database = await this.#open();
    try {
      return database.transaction(OBJECT_STORE, mode, { durability: "strict" });
    } catch (error) {
      if (!isConnectionLoss(error)) throw error;
      // Closed since: open once more.
      this.#opening = undefined;
      return (await this.#open()).transaction(OBJECT_STORE, mode, { durability: "strict" });
    }
  }

  #open(): Promise<IDBDatabase> {
    if (this.#opening !== undefined) return this.#opening;
    const opening = openDatabase(this.#name, () => {
      if (this.#opening === opening) this.#opening = undefined;
    });
    this.#opening = opening;
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = undefined;
    });
    return opening;
  }
}

/** Opens the database, making it if there is none. `onGone` is called when the connection is no longer of use. */
async function openDatabase(name: string, onGone: () => void): Promise<IDBDatabase> {
  const factory = (globalThis as { readonly indexedDB?: IDBFactory }).indexedDB;
  if (factory === undefined) throw new MiyuError("ERR_STORE_UNAVAILABLE", { reason: "no IndexedDB here" });
  const request = factory.open(name, DATABASE_VERSION);
  request.onupgradeneeded = () => {
    request.result.createObjectStore(OBJECT_STORE);
  };
  const database = await Promise.race([promisifyRequest(request), whenBlocked(request)]).catch(async (error: unknown) => {
    if (error instanceof DOMException && error.name === "VersionError") throw await newerSchema(factory, name);
    throw error;
  });
  database.onversionchange = () => {
    // Another tab deletes or upgrades: staying open would hang it.
    database.close();
    onGone();
  };
  database.onclose = onGone;
  return database;
}

/** Rejects if another connection keeps the database from being opened; what is opened later is closed again. */
function whenBlocked(request: IDBOpenDBRequest): Promise<never> {
  return new Promise((_, reject) => {
    request.onblocked = () => {
      reject(new MiyuError("ERR_STORE_UNAVAILABLE", { reason: "another tab blocks the database" }));
      request.addEventListener("success", () => {
        request.result.close();
      });
    };
  });
}

async function newerSchema(factory: IDBFactory, name: string): Promise<MiyuError<"ERR_SCHEMA">> {
  const database = await promisifyRequest(factory.open(name));
  database.close();
  return new MiyuError("ERR_SCHEMA", { found: database.version, known: DATABASE_VERSION });
}

/** Runs `callback` in `transaction` and waits for its end. Nothing of it resolves before `complete`. */
async function runTransaction<T>(transaction: IDBTransaction, callback: (store: IDBObjectStore) => T | PromiseLike<T>): Promise<T> {
  // Own listeners: a request's error reaches the transaction before the transaction has one, and an explicit abort() never has.
  const ended = new Promise<void>((resolve, reject) => {
    transaction.oncomplete = () => {
      resolve();
    };
    transaction.onabort = () => {
      reject(transaction.error ?? new DOMException("the transaction was aborted", "AbortError"));
    };
  });
  ended.catch(() => undefined);
  let result: T;
  try {
    result = await callback(transaction.objectStore(OBJECT_STORE));
  } catch (error) {
    abort(transaction);
    // What ended the transaction says more than the request that noticed it.
    await ended.catch((reason: unknown) => {
      if (transaction.error !== null) throw reason;
    });
    throw error;
  }
  try {
    transaction.commit();
  } catch {
    // Finished or aborted meanwhile, or an engine that commits by itself only: `ended` says how it went.
  }
  await ended;
  return result;
}

/** Without it the writes made so far would still be committed. */
function abort(transaction: IDBTransaction): void {
  try {
    transaction.abort();
  } catch {
    // It is over already; `ended` says how.
    return;
  }
}

function commitThrough(use: UseStore): Commit {
  return (body) =>
    use("readwrite", async (store) => {
      const writes = await body((keys) => Promise.all(keys.map((key) => promisifyRequest<unknown>(store.get(key)).then(asFrame))));
      for (const [key, value] of writes) {
        if (value === undefined) store.delete(key);
        else store.put(value, key);
      }
    });
}

function listThrough(use: UseStore, prefix: string): Promise<readonly (readonly [string, Bytes])[]> {
  return use("readonly", async (store) => {
    const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
    const [keys, values] = await Promise.all([promisifyRequest(store.getAllKeys(range)), promisifyRequest<unknown[]>(store.getAll(range))]);
    const entries: (readonly [string, Bytes])[] = [];
    keys.forEach((key, i) => {
      const value = asFrame(values[i]);
      if (typeof key === "string" && !key.startsWith(OWN_NAME) && value !== undefined) entries.push([key, value]);
    });
    return entries;
  });
}

/** The bytes of a value. What is not bytes was put there by somebody else and opens as damaged, not as absent. */
function asFrame(value: unknown): Bytes | undefined {
  if (value === undefined) return undefined;
  return value instanceof Uint8Array ? (value as Bytes) : new Uint8Array(0);
}

function isConnectionLoss(error: unknown): boolean {
  return error instanceof DOMException && ["InvalidStateError", "UnknownError", "AbortError"].includes(error.name);
}

/** What an app may do about it: free space, or try again later. */
function storeError(cause: unknown): unknown {
  if (MiyuError.is(cause)) return cause;
  if (cause instanceof DOMException && cause.name === "QuotaExceededError") return new MiyuError("ERR_QUOTA", {}, { cause });
  return new MiyuError("ERR_STORE_UNAVAILABLE", { reason: cause instanceof DOMException ? cause.name : "IndexedDB failed" }, { cause });
}
