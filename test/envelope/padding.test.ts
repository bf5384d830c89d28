import { describe, expect, test } from "vitest";
import { padContent, paddedLength, unpadContent } from "../../src/envelope/padding.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { codeOf } from "./fixtures.ts";

describe("padding", () => {
  test("lengths follow Padmé, with a floor of 128 bytes", () => {
    const cases: readonly (readonly [number, number])[] = [
      [0, 128], [126, 128], [127, 128], [128, 144], [143, 144], [144, 160], [255, 256], [256, 272], [271, 272], [272, 288],
      [511, 512], [512, 544], [1000, 1024], [1023, 1024], [1024, 1088], [65535, 65536], [65536, 67584], [1_000_000, 1_015_808],
    ];
    for (const [content, padded] of cases) expect(paddedLength(content), String(content)).toBe(padded);
  });

  test("every length keeps the definition: E = ⌊log2 L⌋, S = ⌊log2 E⌋ + 1, the last E − S bits are zero", () => {
    for (let n = 127; n < 70_000; n += 13) {
      const needed = n + 1;
      const e = Math.floor(Math.log2(needed));
      const s = Math.floor(Math.log2(e)) + 1;
      const mask = 2 ** (e - s) - 1;
      expect(paddedLength(n)).toBe((needed + mask) & ~mask);
      expect(paddedLength(n)).toBeLessThanOrEqual(needed * 1.12);
    }
  });

  test("round trip of every length up to 700, also content that ends like padding", () => {
    const random = seededRandom(testSeed("padding"));
    for (let n = 0; n <= 700; n++) {
      const content = random.bytes(n);
      if (n > 2 && random.chance(0.3)) content.set([0x80, 0, 0], n - 3);
      const padded = padContent(content);
      expect(padded.length).toBe(paddedLength(n));
      expect(unpadContent(padded)).toEqual(content);
    }
  });

  test("only the padding that is written is read", () => {
    expect(unpadContent(padContent(Uint8Array.of(1, 2)))).toEqual(Uint8Array.of(1, 2));
    const bad: Uint8Array[] = [new Uint8Array(0), new Uint8Array(128), new Uint8Array(127).fill(0x80, 0, 1), new Uint8Array(144).fill(0x80, 0, 1), new Uint8Array(128).fill(1)];
    for (const bytes of bad) expect(codeOf(() => unpadContent(bytes))).toBe("ERR_DECODE");
  });
});
