/** The directory of the memory network: records by compare-and-set, one-time prekeys handed out once, fences. */
import { copy } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import type { DeviceId, Directory, DirectoryRecord, Fence, UserId } from "./types.ts";

/** What all directories of one network share. */
export interface DirectoryTables {
  readonly records: Map<UserId, DirectoryRecord>;
  readonly stock: Map<string, Uint8Array[]>;
  readonly fences: Map<string, Fence>;
  readonly watchers: Map<UserId, Set<() => void>>;
  versions: number;
}

const MAX_RECORD = 65_536;

/** The directory as `self` sees it; `removeMailbox` forgets one of its devices. Every call fails with ERR_TRANSPORT_UNAVAILABLE while `reachable` says no. */
export function memoryDirectory(tables: DirectoryTables, self: UserId, reachable: () => boolean, removeMailbox: (device: DeviceId) => void): Required<Directory> {
  const { records, stock, fences, watchers } = tables;
  const keyOf = (user: UserId, device: string): string => JSON.stringify([user, device]);

  async function reach(signal?: AbortSignal): Promise<void> {
    await Promise.resolve();
    if (signal?.aborted === true) throw new MiyuError("ERR_ABORTED");
    if (!reachable()) throw new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "offline" });
  }

  return {
    caps: { maxRecord: MAX_RECORD, oneTime: true },
    async read(user, { signal } = {}) {
      await reach(signal);
      const found = records.get(user);
      return found === undefined ? undefined : { record: copy(found.record), version: found.version };
    },
    async publish(record, expect, { signal } = {}) {
      await reach(signal);
      if (record.length > MAX_RECORD) throw new MiyuError("ERR_TOO_LARGE", { size: record.length, limit: MAX_RECORD });
      if ((records.get(self)?.version ?? null) !== expect) return undefined;
      const version = `v${String(++tables.versions)}`;
      records.set(self, { record: copy(record), version });
      for (const watcher of [...(watchers.get(self) ?? [])]) watcher();
      return version;
    },
    async claim(user, device, { signal } = {}) {
      await reach(signal);
      return stock.get(keyOf(user, device))?.shift();
    },
    async stock(device, keys, { signal } = {}) {
      await reach(signal);
      const own = stock.get(keyOf(self, device)) ?? [];
      own.push(...keys.map(copy));
      stock.set(keyOf(self, device), own);
      return own.length;
    },
    watch(user, on) {
      const all = watchers.get(user) ?? new Set();
      watchers.set(user, all);
      const own = (): void => {
        on();
      };
      all.add(own);
      return () => void all.delete(own);
    },
    async forget(device) {
      await reach();
      stock.delete(keyOf(self, device));
      fences.delete(keyOf(self, device));
      removeMailbox(device);
    },
    async fence(device, expect, next) {
      await reach();
      const held = fences.get(keyOf(self, device));
      if (held?.epoch === next.epoch && held.nonce === next.nonce) return true;
      if (held !== undefined && !(expect !== null && (held.nonce === expect.nonce || held.epoch < expect.epoch))) return false;
      fences.set(keyOf(self, device), { ...next });
      return true;
    },
  };
}
