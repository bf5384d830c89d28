import { describe, expect, test } from "vitest";
import { toHex, u32be, type Bytes } from "../../src/bytes.ts";
import { addSkippedKeys, countSkippedKeys, loadPages, NO_SKIPPED_KEYS, takeSkippedKey } from "../../src/protocol/skippedKeys.ts";
import type { SessionParts, SkippedKeys } from "../../src/protocol/types.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { codeOf } from "./parties.ts";

/** A seed that tells its counter. */
const seedOf = (counter: number): Bytes => new Uint8Array(32).fill(7).map((byte, i) => u32be(counter)[i] ?? byte);
const seedsOf = (first: number, count: number): Bytes[] => Array.from({ length: count }, (_, i) => seedOf(first + i));
const add = (skipped: SkippedKeys, first: number, count: number): SkippedKeys => addSkippedKeys(skipped, first, seedsOf(first, count)).skipped;

/** Every counter kept, by taking each in turn. */
function countersOf(skipped: SkippedKeys): number[] {
  return skipped.flatMap(({ number }) => Array.from({ length: 128 }, (_, i) => number * 128 + i)).filter((counter) => takeSkippedKey(skipped, counter));
}

/** The same keys with every page in a store, which counts its calls. */
function stored(skipped: SkippedKeys): { readonly skipped: SkippedKeys; readonly calls: (readonly string[])[]; readonly contents: Map<string, Bytes> } {
  const contents = new Map(skipped.map((page) => [String(page.number), loadPages([page])[0]?.slice() ?? new Uint8Array()]));
  const calls: (readonly string[])[] = [];
  const parts: SessionParts = {
    parts: (names) => {
      calls.push(names);
      return names.map((name) => contents.get(name));
    },
  };
  return { skipped: skipped.map(({ number, count }) => ({ number, count, content: { name: String(number), parts } })), calls, contents };
}

describe("against a plain map", () => {
  const random = seededRandom(testSeed("skipped keys"));
  test.each([false, true])(`the same keys after 400 random steps, from the store: %s (seed ${String(random.seed)})`, (fromStore) => {
    let skipped = NO_SKIPPED_KEYS;
    const model = new Map<number, string>();
    let next = random.int(1000);
    for (let step = 0; step < 400; step++) {
      if (random.chance(0.5)) {
        next += random.int(200);
        const count = random.int(random.chance(0.05) ? 3_000 : 150);
        skipped = add(skipped, next, count);
        for (let i = 0; i < count; i++) model.set(next + i, toHex(seedOf(next + i)));
        next += count + 1;
        for (const counter of [...model.keys()].slice(0, Math.max(0, model.size - 2_000))) model.delete(counter);
      } else {
        const known = [...model.keys()];
        const counter = known.length > 0 && random.chance(0.8) ? random.pick(known) : random.int(next + 1);
        const taken = takeSkippedKey(skipped, counter);
        expect(taken && toHex(taken.seed)).toBe(model.get(counter));
        model.delete(counter);
        skipped = taken?.skipped ?? skipped;
      }
      expect(countSkippedKeys(skipped)).toBe(model.size);
      if (fromStore) skipped = stored(skipped).skipped;
    }
    expect(countersOf(skipped)).toEqual([...model.keys()]);
  });
});

test("2,000 are kept, the lowest dropped first, however they came", () => {
  expect(countersOf(add(NO_SKIPPED_KEYS, 0, 2_500))).toEqual(Array.from({ length: 2_000 }, (_, i) => 500 + i));
  const full = add(NO_SKIPPED_KEYS, 100, 2_000);
  expect(countSkippedKeys(full)).toBe(2_000);
  const more = add(full, 5_000, 1);
  expect([countSkippedKeys(more), countersOf(more)[0], countersOf(more).at(-1)]).toEqual([2_000, 101, 5_000]);
  expect(countersOf(add(full, 5_000, 2_000))[0]).toBe(5_000);
  expect(add(full, 5_000, 0)).toBe(full);
});

test("pages are never written to", () => {
  const before = add(NO_SKIPPED_KEYS, 3, 1_990);
  const contents = loadPages(before).map(toHex);
  takeSkippedKey(before, 700);
  add(before, 1_993, 500);
  expect(loadPages(before).map(toHex)).toEqual(contents);
});

test("what is spent is what the new pages replace", () => {
  const before = add(NO_SKIPPED_KEYS, 0, 300);
  const taken = takeSkippedKey(before, 130);
  expect(taken?.spent).toEqual([before[1]?.content]);
  expect([taken?.skipped[0], taken?.skipped[2]]).toEqual([before[0], before[2]]);
  const added = addSkippedKeys(before, 300, seedsOf(300, 1_900));
  // 200 dropped: the first page whole, the second in part; the third is still open and grows.
  expect(new Set(added.spent)).toEqual(new Set(before.map(({ content }) => content)));
});

describe("from the store", () => {
  const all = add(NO_SKIPPED_KEYS, 0, 2_000);

  test("a take asks for one page, an addition for all it touches at once, a dropped page is not read", () => {
    const lazy = stored(all);
    takeSkippedKey(lazy.skipped, 1_000);
    addSkippedKeys(lazy.skipped, 2_000, seedsOf(2_000, 200));
    takeSkippedKey(lazy.skipped, 50_000);
    expect(lazy.calls).toEqual([["7"], ["1", "15"]]);
  });

  test("what the source throws comes through", () => {
    const parts = { parts: () => { throw new RangeError("load me"); } };
    const lazy = all.map((page) => ({ ...page, content: { name: "x", parts } }));
    expect(() => takeSkippedKey(lazy, 5)).toThrow(RangeError);
    expect(() => addSkippedKeys(lazy, 2_000, seedsOf(2_000, 1))).toThrow(RangeError);
  });

  test("a missing, damaged or older page is refused", () => {
    const older = stored(all);
    const taken = takeSkippedKey(all, 5)?.skipped;
    const newer = taken && stored(taken);
    expect(newer && codeOf(() => loadPages(newer.skipped))).toBeUndefined();
    newer?.contents.set("0", older.contents.get("0") ?? new Uint8Array());
    expect(newer && codeOf(() => takeSkippedKey(newer.skipped, 5))).toBe("ERR_STORE_CORRUPT");
    const change: ((bytes: Bytes) => Bytes | undefined)[] = [
      () => undefined,
      (bytes) => bytes.subarray(1),
      (bytes) => bytes.with(0, 2),
      (bytes) => bytes.with(1, 0),
      () => new Uint8Array(),
    ];
    for (const each of change) {
      const lazy = stored(all);
      const bad = each(lazy.contents.get("0") ?? new Uint8Array());
      if (bad) lazy.contents.set("0", bad);
      else lazy.contents.delete("0");
      expect(codeOf(() => takeSkippedKey(lazy.skipped, 5))).toBe("ERR_STORE_CORRUPT");
    }
  });
});
