/**
 * Where a relay keeps what it accepted: ordered rows of bytes, written in batches that are on the disk when they resolve.
 * Two of them: LevelDB in a directory (classic-level), and memory for demos and tests.
 */
import { compare, copy } from "../bytes.ts";
import { MiyuError } from "../errors.ts";

/** One change: a value to put, or undefined to remove the key. */
export interface Change {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** Rows in the order of their keys. */
export interface RelayStorage {
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  /** Up to `limit` rows whose key begins with `prefix`, those after the key `after` only. */
  rows(prefix: Uint8Array, options?: { readonly after?: Uint8Array; readonly limit?: number }): Promise<{ readonly key: Uint8Array; readonly value: Uint8Array }[]>;
  /**
   * Makes all changes or none, after every batch handed in before. Resolves when they are on the disk;
   * batches that wait for the disk together are written together.
   */
  write(changes: readonly Change[]): Promise<void>;
  /** Finishes what was handed in, then closes. */
  close(): Promise<void>;
}

/** Rows that end with the program. */
export function memoryStorage(): RelayStorage {
  const rows: { readonly key: Uint8Array; value: Uint8Array }[] = [];
  /** Index of the first row whose key is not below `key`. */
  const find = (key: Uint8Array): number => {
    let [low, high] = [0, rows.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare(rows[middle]?.key ?? key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const at = (index: number, key: Uint8Array): boolean => compare(rows[index]?.key ?? new Uint8Array(), key) === 0;
  return {
    async get(key) {
      const index = find(key);
      return Promise.resolve(at(index, key) ? rows[index]?.value : undefined);
    },
    async rows(prefix, { after, limit = Infinity } = {}) {
      const start = after === undefined || compare(after, prefix) < 0 ? find(prefix) : find(after) + (at(find(after), after) ? 1 : 0);
      return Promise.resolve(rows.slice(start, Math.min(find(successor(prefix)), start + limit)));
    },
    async write(changes) {
      for (const { key, value } of changes) {
        const index = find(key);
        const removed = at(index, key) ? 1 : 0;
        if (value === undefined) rows.splice(index, removed);
        else rows.splice(index, removed, { key: copy(key), value: copy(value) });
      }
      return Promise.resolve();
    },
    close: async () => Promise.resolve(),
  };
}

/**
 * Rows in a LevelDB directory, which one relay at a time may open.
 * @throws {MiyuError} ERR_USAGE if classic-level is not installed, ERR_STORE_UNAVAILABLE if the directory cannot be opened
 */
export async function levelStorage(directory: string): Promise<RelayStorage> {
  const { ClassicLevel } = await import("classic-level").catch((cause: unknown) => {
    throw new MiyuError("ERR_USAGE", { reason: "a relay with a data directory needs the package classic-level" }, { cause });
  });
  const level = new ClassicLevel<Uint8Array, Uint8Array>(directory, { keyEncoding: "view", valueEncoding: "view" });
  try {
    await level.open();
  } catch (cause) {
    throw new MiyuError("ERR_STORE_UNAVAILABLE", { reason: "the data directory cannot be opened" }, { cause });
  }
  let waiting: { readonly changes: readonly Change[]; readonly done: () => void; readonly failed: (cause: unknown) => void }[] = [];
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const group = waiting;
      waiting = [];
      const operations = group
        .flatMap(({ changes }) => changes)
        .map(({ key, value }) => (value === undefined ? ({ type: "del", key } as const) : ({ type: "put", key, value } as const)));
      try {
        await level.batch(operations, { sync: true });
        for (const { done } of group) done();
      } catch (cause) {
        for (const { failed } of group) failed(new MiyuError("ERR_STORE_UNAVAILABLE", { reason: "write failed" }, { cause }));
      }
    }
    running = undefined;
  }

  return {
    async get(key) {
      const value = await level.get(key);
      return value === undefined ? undefined : plain(value);
    },
    async rows(prefix, { after, limit = -1 } = {}) {
      const from = after === undefined || compare(after, prefix) < 0 ? { gte: prefix } : { gt: after };
      const found = await level.iterator({ ...from, lt: successor(prefix), limit: limit === Infinity ? -1 : limit }).all();
      return found.map(([key, value]) => ({ key: plain(key), value: plain(value) }));
    },
    write: async (changes) =>
      new Promise((done, failed) => {
        waiting.push({ changes, done, failed });
        running ??= run();
      }),
    async close() {
      await running;
      await level.close();
    },
  };
}

/** The same memory without the ways of a `Buffer`, whose `slice` shares. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The smallest key after every key that begins with `prefix`. */
function successor(prefix: Uint8Array): Uint8Array {
  const out = copy(prefix);
  for (let i = out.length - 1; i >= 0; i--) {
    const byte = out[i] ?? 0;
    if (byte < 255) {
      out[i] = byte + 1;
      return out.slice(0, i + 1);
    }
  }
  throw new MiyuError("ERR_INTERNAL", { what: "a prefix of 255s" });
}
