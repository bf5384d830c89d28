/**
 * A store that lives in memory: for tests, and for clients that must leave nothing behind. Several handles may share one medium,
 * as several tabs share a database; its queue runs their transactions one after another.
 */
import { copy, toHex, u32be, type Bytes } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import { JobQueue } from "./batch.ts";
import { openHandle } from "./handle.ts";
import type { KeySlot, RawStore } from "./types.ts";

/** What a memory store holds. Open, so that a test can look at it, copy it or damage it. */
export interface MemoryMedium {
  /** The records, sealed by the vault, by raw key. */
  readonly records: Map<string, Bytes>;
  /** The keys that open vaults, by ticket (4 bytes in hexadecimal). */
  readonly keys: Map<string, Bytes>;
  /** Runs the transactions of all handles. */
  readonly queue: JobQueue;
}

/** A new, empty medium. */
export function memoryMedium(): MemoryMedium {
  const records = new Map<string, Bytes>();
  const queue = new JobQueue(async (body) => {
    const writes = await body((keys) => Promise.resolve(keys.map((key) => records.get(key))));
    for (const [key, value] of writes) {
      if (value === undefined) records.delete(key);
      else records.set(key, value);
    }
  });
  return { records, keys: new Map(), queue };
}

/**
 * A store in memory. Without `medium` it has one of its own, gone with the store.
 * Protection: `"memory"`.
 */
export function memoryStore(options: { readonly medium?: MemoryMedium } = {}): RawStore {
  const medium = options.medium ?? memoryMedium();
  const store: RawStore = {
    transact: (keys, fn) => medium.queue.submit(keys, fn),
    list: (prefix) =>
      Promise.resolve(
        [...medium.records]
          .filter(([key]) => key.startsWith(prefix))
          .map(([key, value]) => [key, copy(value)] as const)
          .sort(([a], [b]) => (a < b ? -1 : 1)),
      ),
    keySlot: memorySlot(medium),
    close: () => Promise.resolve(),
  };
  return openHandle(store, "memory store");
}

/** Keeps the key itself and hands out a ticket for it: there is no disk it could be kept from. */
function memorySlot(medium: MemoryMedium): KeySlot {
  return {
    protection: "memory",
    wrap(key) {
      const ticket = u32be(medium.keys.size + 1);
      medium.keys.set(toHex(ticket), copy(key));
      return Promise.resolve(ticket);
    },
    unwrap(ticket) {
      const key = medium.keys.get(toHex(ticket));
      if (key === undefined) return Promise.reject(new MiyuError("ERR_STORE_LOST", { what: "device key" }));
      return Promise.resolve(copy(key));
    },
  };
}

export type { JobQueue };
