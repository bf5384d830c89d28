/**
 * The directory of a relay: records by compare-and-set, one-time prekeys each handed out once, fences. Every answer that gives
 * something away is on the disk before it is given, so a crash may burn a prekey and never hands one out twice.
 */
import { createHash } from "node:crypto";
import { concat, equal, lp, Reader, toBase64url, u64be, utf8 } from "../bytes.ts";
import type { Random } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import { ID_LENGTH } from "../transport/relayFrames.ts";
import type { DeviceId, DirectoryRecord, Fence, UserId } from "../transport/types.ts";
import { keys } from "./keys.ts";
import type { RelayLimits } from "./limits.ts";
import type { Change, RelayStorage } from "./storage.ts";

/** The directory behind the HTTP routes; who may call what is decided there. */
export interface KeyDirectory {
  read(user: UserId): Promise<DirectoryRecord | undefined>;
  /** The new version, or undefined if the present one is not `expect`. */
  publish(user: UserId, record: Uint8Array, expect: string | null): Promise<string | undefined>;
  /** Takes out the oldest one-time prekey, or undefined if there is none. */
  claim(user: UserId, device: DeviceId): Promise<Uint8Array | undefined>;
  /**
   * Adds one-time prekeys, those it ever had excepted, and returns the number in stock.
   * @throws {MiyuError} ERR_TRANSPORT_REJECTED if they are more than the relay keeps; none is added
   */
  stock(user: UserId, device: DeviceId, prekeys: readonly Uint8Array[]): Promise<number>;
  /**
   * Whether the fence is now `next`: it was `expect`, or `next` already (an answer was lost), or none or of a lower epoch than `expect` (then it is
   * this relay that went back).
   */
  fence(user: UserId, device: DeviceId, expect: Fence | null, next: Fence): Promise<boolean>;
  /** Forgets a device's prekeys and fence. */
  remove(user: UserId, device: DeviceId): Promise<void>;
}

/** Bytes of a hash that stands for a prekey. */
const HASH = 16;
/** Hashes of prekeys of one device that are remembered, so that a repeated request does not stock a key twice. */
const REMEMBERED = 4_096;

/** The directory in `storage`. */
export function keyDirectory(storage: RelayStorage, limits: RelayLimits, random: Random): KeyDirectory {
  const tails = new Map<string, Promise<unknown>>();

  /** Runs jobs of one name one after the other: each reads what the one before wrote. */
  async function alone<T>(name: readonly string[], job: () => Promise<T>): Promise<T> {
    const key = JSON.stringify(name);
    const run = (tails.get(key) ?? Promise.resolve()).then(job, job);
    tails.set(key, run);
    try {
      return await run;
    } finally {
      if (tails.get(key) === run) tails.delete(key);
    }
  }

  async function read(user: UserId): Promise<DirectoryRecord | undefined> {
    const row = await storage.get(keys.record(user));
    return row === undefined ? undefined : { version: toBase64url(row.subarray(0, ID_LENGTH)), record: row.subarray(ID_LENGTH) };
  }

  return {
    read,
    publish: async (user, record, expect) =>
      alone(["record", user], async () => {
        if (record.length > limits.record) throw new MiyuError("ERR_TOO_LARGE", { size: record.length, limit: limits.record });
        if (((await read(user))?.version ?? null) !== expect) return undefined;
        const version = random(ID_LENGTH);
        await storage.write([{ key: keys.record(user), value: concat(version, record) }]);
        return toBase64url(version);
      }),
    claim: async (user, device) =>
      alone(["prekeys", user, device], async () => {
        const [first] = await storage.rows(keys.prekeys(user, device), { limit: 1 });
        if (first === undefined) return undefined;
        await storage.write([{ key: first.key, value: undefined }]);
        return first.value;
      }),
    stock: async (user, device, prekeys) =>
      alone(["prekeys", user, device], async () => {
        const inStock = (await storage.rows(keys.prekeys(user, device))).length;
        if (prekeys.length === 0) return inStock;
        const before = (await storage.rows(keys.stocked(user, device)))
          .map(({ key, value }) => ({ key, hash: toBase64url(key.subarray(-HASH)), order: new Reader(value, "relay prekey").u64() }))
          .sort((a, b) => a.order - b.order);
        const known = new Set(before.map(({ hash }) => hash));
        let order = (before.at(-1)?.order ?? 0) + 1;
        const changes: Change[] = [];
        let added = 0;
        for (const prekey of prekeys) {
          const hash = createHash("sha256").update(prekey).digest().subarray(0, HASH);
          if (known.has(toBase64url(hash))) continue;
          known.add(toBase64url(hash));
          added++;
          changes.push({ key: keys.prekey(user, device, order), value: prekey }, { key: keys.stockedKey(user, device, hash), value: u64be(order++) });
        }
        if (inStock + added > limits.prekeys) throw new MiyuError("ERR_TRANSPORT_REJECTED", { reason: "too many one-time prekeys" });
        const surplus = Math.max(0, before.length + added - REMEMBERED);
        changes.push(...before.slice(0, surplus).map(({ key }) => ({ key, value: undefined })));
        if (added > 0) await storage.write(changes);
        return inStock + added;
      }),
    fence: async (user, device, expect, next) =>
      alone(["fence", user, device], async () => {
        const held = await storage.get(keys.fence(user, device));
        if (held !== undefined && equal(held, encodeFence(next))) return true;
        if (held !== undefined && !(expect !== null && (equal(held, encodeFence(expect)) || epochOf(held) < expect.epoch))) return false;
        await storage.write([{ key: keys.fence(user, device), value: encodeFence(next) }]);
        return true;
      }),
    remove: async (user, device) =>
      alone(["prekeys", user, device], async () => {
        const rows = [...(await storage.rows(keys.prekeys(user, device))), ...(await storage.rows(keys.stocked(user, device)))];
        await storage.write([...rows, { key: keys.fence(user, device) }].map(({ key }) => ({ key, value: undefined })));
      }),
  };
}

function epochOf(fence: Uint8Array): number {
  return new Reader(fence, "relay fence").u64();
}

function encodeFence(fence: Fence): Uint8Array {
  return concat(u64be(fence.epoch), lp(utf8(fence.nonce)));
}
