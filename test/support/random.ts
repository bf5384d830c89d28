/**
 * Seeded randomness for tests: every run can be replayed from the seed it prints. Not cryptographic.
 */
import type { Bytes } from "../../src/bytes.ts";

/** A stream of pseudo-random values that depends on its seed only. */
export interface SeededRandom {
  readonly seed: number;
  /** Like the library's `Random`: `length` bytes. */
  bytes(length: number): Bytes;
  /** 0 … 2³²−1. */
  u32(): number;
  /** 0 … max−1. */
  int(max: number): number;
  /** True with probability `p`. */
  chance(p: number): boolean;
  pick<T>(list: readonly T[]): T;
  /** A shuffled copy. */
  shuffle<T>(list: readonly T[]): T[];
}

/** xoshiro128** seeded through splitmix32. */
export function seededRandom(seed: number): SeededRandom {
  let mix = seed >>> 0;
  const split = (): number => {
    mix = (mix + 0x9e3779b9) >>> 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  let [a, b, c, d] = [split(), split(), split(), split()];
  const u32 = (): number => {
    const scrambled = Math.imul(b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result;
  };
  const int = (max: number): number => Math.floor((u32() / 2 ** 32) * max);
  return {
    seed,
    u32,
    int,
    bytes: (length) => Uint8Array.from({ length }, () => u32() >>> 24),
    chance: (p) => u32() / 2 ** 32 < p,
    pick: (list) => {
      const item = list[int(list.length)];
      if (item === undefined) throw new Error("pick from an empty list");
      return item;
    },
    shuffle: (list) => {
      const out = [...list];
      for (let i = out.length - 1; i > 0; i--) {
        const j = int(i + 1);
        [out[i], out[j]] = [out[j] as (typeof out)[number], out[i] as (typeof out)[number]];
      }
      return out;
    },
  };
}

/** The seed of a test: `MIYU_SEED` if set, else a fresh one; printed, so that any run can be replayed. */
export function testSeed(label: string): number {
  const fixed = (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env?.["MIYU_SEED"];
  const seed = fixed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(fixed) >>> 0;
  console.info(`seed of ${label}: MIYU_SEED=${String(seed)}`);
  return seed;
}
