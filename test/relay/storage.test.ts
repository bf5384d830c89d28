import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { toHex } from "../../src/bytes.ts";
import { hourlyLimit, rateLimit } from "../../src/relay/limits.ts";
import { levelStorage, memoryStorage, type RelayStorage } from "../../src/relay/storage.ts";
import { seededRandom, testSeed } from "../support/random.ts";

const random = seededRandom(testSeed("relay storage"));
const b = (...bytes: number[]): Uint8Array => Uint8Array.of(...bytes);
const hex = (rows: readonly { key: Uint8Array }[]): string[] => rows.map(({ key }) => toHex(key));

describe.each(["memory", "level"])("relay storage: %s", (kind) => {
  let storage: RelayStorage;
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "miyu-storage-"));
    storage = kind === "memory" ? memoryStorage() : await levelStorage(directory);
  });
  afterEach(async () => {
    await storage.close();
    await rm(directory, { recursive: true, force: true });
  });

  test("rows come in the order of their bytes, by prefix, after a key, so many", async () => {
    const all = [b(1), b(1, 0), b(1, 255), b(1, 255, 255), b(1, 255, 255, 7), b(2), b(2, 0), b(128, 1), b(255)];
    await storage.write(random.shuffle(all).map((key) => ({ key, value: key })));
    expect(hex(await storage.rows(b(1)))).toEqual(["01", "0100", "01ff", "01ffff", "01ffff07"]);
    expect(hex(await storage.rows(b(1, 255)))).toEqual(["01ff", "01ffff", "01ffff07"]);
    expect(hex(await storage.rows(b(1), { after: b(1, 0) }))).toEqual(["01ff", "01ffff", "01ffff07"]);
    expect(hex(await storage.rows(b(1), { after: b(1, 1), limit: 2 }))).toEqual(["01ff", "01ffff"]);
    expect(hex(await storage.rows(b(2), { after: b(1, 255) }))).toEqual(["02", "0200"]);
    expect(await storage.rows(b(3))).toEqual([]);
    expect(await storage.rows(b(1), { after: b(2) })).toEqual([]);
    expect(await storage.get(b(128, 1))).toEqual(b(128, 1));
    expect(await storage.get(b(128))).toBeUndefined();
  });

  test("later batches win over earlier ones, however many wait", async () => {
    const writes = Array.from({ length: 100 }, async (_, i) => storage.write([{ key: b(1), value: i % 10 === 5 ? undefined : b(i) }, { key: b(2, i), value: b(i) }]));
    await Promise.all(writes);
    expect(await storage.get(b(1))).toEqual(b(99));
    expect(await storage.rows(b(2))).toHaveLength(100);
    await storage.write([{ key: b(1), value: undefined }]);
    expect(await storage.get(b(1))).toBeUndefined();
  });

  test("what is written does not change with the caller's array", async () => {
    const value = b(1, 2, 3);
    const write = storage.write([{ key: b(9), value }]);
    await write;
    value.fill(0);
    expect(await storage.get(b(9))).toEqual(b(1, 2, 3));
  });
});

describe("relay limits", () => {
  test("a bucket gives its burst, then its rate, and never more than its burst", () => {
    const limit = rateLimit(2, 3);
    expect([0, 0, 0, 0].map(() => limit.take("a", 1_000))).toEqual([0, 0, 0, 500]);
    expect(limit.take("b", 1_000)).toBe(0);
    expect(limit.take("a", 1_250)).toBe(250);
    expect([limit.take("a", 1_500), limit.take("a", 1_500)]).toEqual([0, 500]);
    expect([0, 0, 0, 0].map(() => limit.take("a", 100_000))).toEqual([0, 0, 0, 500]);
    // A clock that goes back gives nothing and breaks nothing.
    expect(limit.take("a", 0)).toBe(500);
  });

  test("so many uses in any hour", () => {
    const limit = hourlyLimit(3);
    expect([0, 10, 20, 30].map((now) => limit.take("a", now))).toEqual([0, 0, 0, 3_599_970]);
    expect(limit.take("a", 3_600_000)).toBe(0);
    expect(limit.take("a", 3_600_005)).toBeGreaterThan(0);
    expect(limit.take("b", 3_600_005)).toBe(0);
  });
});
