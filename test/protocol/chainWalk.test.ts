import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { toHex } from "../../src/bytes.ts";
import type { Crypto } from "../../src/crypto/types.ts";
import { ChainGapError, walkChain, walkToMessage, wipeChainAhead, type ChainPlace } from "../../src/protocol/chainWalk.ts";
import { runStep } from "../../src/protocol/doubleRatchet.ts";
import type { ChainAhead, ChainGap, DecryptOptions } from "../../src/protocol/types.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { acquainted, codeOf, crypto, numbered } from "./parties.ts";

const random = seededRandom(testSeed("chain walk"));
const chainKey = random.bytes(32);
const gapTo = (target: number, index = 0): ChainGap => ({ chainKey: chainKey.slice(), index, target });

let steps = 0;
const counting: Crypto = {
  ...crypto,
  hmacSha256: (key, message) => {
    steps++;
    return crypto.hmacSha256(key, message);
  },
};

/** Walks and returns copies, as the originals are wiped with the step. */
function walk(gap: ChainGap, options: DecryptOptions = {}): { place: string[]; steps: number } {
  steps = 0;
  const place = runStep((secrets) => {
    const found: ChainPlace = walkToMessage(counting, secrets, gap, options);
    return [found.seed, found.chainKey, ...found.skipped].map(toHex);
  });
  return { place, steps };
}

/** Walks `gap` in slices until `until`. */
function inSlices(gap: ChainGap, slice: number, until = gap.target): ChainAhead {
  let ahead = walkChain(crypto, gap, undefined, slice);
  while (ahead.index < until) ahead = walkChain(crypto, gap, ahead, Math.min(slice, until - ahead.index));
  return ahead;
}

describe("walkToMessage", () => {
  test("takes one step for each counter and keeps the last 2,000 seeds", () => {
    const far = walk(gapTo(5_000));
    expect(far.place).toHaveLength(2 + 2_000);
    expect(far.steps).toBe(5_000 + 2_000 + 2);
    expect(walk(gapTo(0)).place).toHaveLength(2);
    expect(walk(gapTo(3)).place).toHaveLength(5);
  });

  test("25,000 is allowed, 25,001 is not, from any place of the chain", () => {
    expect(walk(gapTo(25_000)).place).toHaveLength(2_002);
    expect(codeOf(() => walk(gapTo(25_001)))).toBe("ERR_DECRYPT");
    expect(codeOf(() => walk(gapTo(125_001, 100_000)))).toBe("ERR_DECRYPT");
    steps = 0;
    expect(codeOf(() => walk(gapTo(0xffffffff)))).toBe("ERR_DECRYPT");
    expect(steps).toBe(0);
  });

  test("asks for a longer way than maxSteps", () => {
    expect(walk(gapTo(100), { maxSteps: 100 }).place).toHaveLength(102);
    expect(() => walk(gapTo(101), { maxSteps: 100 })).toThrow(ChainGapError);
    expect(() => walk(gapTo(1), { maxSteps: 0 })).toThrow(ChainGapError);
    expect(codeOf(() => walk(gapTo(25_001), { maxSteps: 0 }))).toBe("ERR_DECRYPT");
  });
});

describe("a walk made in advance", () => {
  const direct = walk(gapTo(4_000)).place;

  test.each([4_000, 1_000, 333, 7])("in slices of %s leads to the same place, with two steps left", (slice) => {
    const found = walk(gapTo(4_000), { maxSteps: 0, ahead: [inSlices(gapTo(4_000), slice)] });
    expect(found.place).toEqual(direct);
    expect(found.steps).toBe(2);
  });

  test("in part is continued", () => {
    for (const until of [1, 1_999, 2_000, 2_001, 3_999]) {
      expect(walk(gapTo(4_000), { ahead: [inSlices(gapTo(4_000), 500, until)] }).place).toEqual(direct);
    }
  });

  test("is left as it was, also by a step that throws", () => {
    const ahead = inSlices(gapTo(100), 10);
    const before = [ahead.chainKey, ...ahead.seeds].map(toHex);
    walk(gapTo(100), { ahead: [ahead] });
    expect(() => runStep((secrets) => { walkToMessage(crypto, secrets, gapTo(100), { ahead: [ahead] }); throw new RangeError(); })).toThrow(RangeError);
    expect([ahead.chainKey, ...ahead.seeds].map(toHex)).toEqual(before);
  });

  test("of another chain, from another place, or beyond the message is not used", () => {
    const other = inSlices({ chainKey: random.bytes(32), index: 0, target: 4_000 }, 1_000);
    const elsewhere = inSlices(gapTo(4_000, 1), 1_000);
    const beyond = inSlices(gapTo(4_001), 1_000);
    expect(walk(gapTo(4_000), { ahead: [other, elsewhere, beyond] })).toEqual({ place: direct, steps: 4_000 + 2_000 + 2 });
  });

  test("towards a farther message is used only if no seed is missing", () => {
    const withSeeds = inSlices(gapTo(9_000), 1_000, 3_999);
    expect(withSeeds.seeds).toHaveLength(0);
    expect(walk(gapTo(4_000), { ahead: [withSeeds] }).place).toEqual(direct);
    expect(walk(gapTo(4_000), { ahead: [inSlices(gapTo(9_000), 1_000, 1_500)] })).toEqual({ place: direct, steps: 2_500 + 2_000 + 2 });
  });

  test("is not continued along another gap, nor past the limit", () => {
    const ahead = walkChain(crypto, gapTo(100), undefined, 10);
    expect(codeOf(() => walkChain(crypto, gapTo(101), ahead, 10))).toBe("ERR_USAGE");
    expect(codeOf(() => walkChain(crypto, { ...gapTo(100), chainKey: random.bytes(32) }, ahead, 10))).toBe("ERR_USAGE");
    expect(codeOf(() => walkChain(crypto, gapTo(25_001), undefined, 10))).toBe("ERR_DECRYPT");
  });

  test("wipes the chain keys it leaves behind, and all of it on request", () => {
    const first = walkChain(crypto, gapTo(100), undefined, 10);
    const left = first.chainKey;
    const second = walkChain(crypto, gapTo(100), first, 10);
    expect(toHex(left)).toBe("00".repeat(32));
    wipeChainAhead(second);
    expect([second.from.chainKey, second.chainKey, ...second.seeds].every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
  });
});

describe("in a session", () => {
  test("a far message is asked for, walked in slices, and then opens; nothing changed meanwhile", () => {
    const [alice, bob] = acquainted(random);
    const messages = Array.from({ length: 500 }, (_, i) => alice.encrypt(numbered(i)));
    const last = messages[499];
    if (!last) throw new Error("no message");
    const before = bob.snapshot();
    const ahead: ChainAhead[] = [];
    let opened: Uint8Array | undefined;
    for (let tries = 0; !opened && tries < 3; tries++) {
      try {
        opened = bob.decrypt(last, { maxSteps: 50, ahead });
      } catch (error) {
        if (!(error instanceof ChainGapError)) throw error;
        expect(bob.snapshot()).toBe(before);
        expect([error.gap.index, error.gap.target]).toEqual([0, 499]);
        // A chain key must not get into a log by way of the error.
        expect(inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error)).not.toMatch(/chainKey/);
        ahead.push(inSlices(error.gap, 100));
      }
    }
    expect(opened).toEqual(numbered(499));
    for (const [i, message] of messages.slice(0, 499).entries()) expect(bob.decrypt(message)).toEqual(numbered(i));
  });
});
