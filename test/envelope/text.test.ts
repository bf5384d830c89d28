import { describe, expect, test } from "vitest";
import { fromText, looksLikeMiyuText, toText } from "../../src/envelope/text.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { codeOf, errorOf } from "./fixtures.ts";

describe("text", () => {
  test("round trip; standard base64 with padding reads the same", () => {
    const random = seededRandom(testSeed("text"));
    for (let n = 1; n < 200; n++) {
      const bytes = random.bytes(n);
      const text = toText(bytes);
      expect(text).toMatch(/^miyu1\.[A-Za-z0-9_-]+$/);
      expect(text).toBe(`miyu1.${Buffer.from(bytes).toString("base64url")}`);
      expect(fromText(text)).toEqual(bytes);
      expect(fromText(`miyu1.${Buffer.from(bytes).toString("base64")}`)).toEqual(bytes);
      expect(looksLikeMiyuText(text)).toBe(true);
      expect(looksLikeMiyuText(`miyu1.${Buffer.from(bytes).toString("base64")}`)).toBe(true);
    }
  });

  test("what a person writes does not look like ours", () => {
    const written = ["", "hello", "miyu", "miyu1", "miyu1.", "miyu1. hi", "miyu1.ab cd", " miyu1.abcd", "miyu1.abcd\n", "miyu1.你好", "Miyu1.abcd", "miyu.abcd", "miyu1234.ab", "miyu1.===", "miyu1.ab==="];
    for (const text of written) expect(looksLikeMiyuText(text), text).toBe(false);
    expect(looksLikeMiyuText("miyu2.abcd")).toBe(true);
  });

  test("another version says so; anything else is ERR_DECODE", () => {
    const error = errorOf(() => fromText("miyu2.abcd"));
    expect([error.code, error.detail]).toEqual(["ERR_VERSION", { what: "text", version: 2 }]);
    for (const text of ["", "abcd", "miyu1.a", "miyu1.ab=", "miyu1.a*cd", "miyu1.ab\ncd", "miyu1.ab", " miyu1.abcd"]) {
      expect(codeOf(() => fromText(text)), text).toBe("ERR_DECODE");
    }
  });

  test("a megabyte of '=' is refused by its structure, more than an envelope by its length", () => {
    const flood = "=".repeat(1_000_000);
    for (const text of [flood, `miyu1.${flood}`, `miyu1.A${flood}`, `miyu1.${"A".repeat(1_000_000)}${"=".repeat(3)}`, `miyu1.${"A=".repeat(500_000)}`]) {
      expect(codeOf(() => fromText(text))).toBe("ERR_DECODE");
      expect(looksLikeMiyuText(text)).toBe(false);
    }
    const long = `miyu1.${"A".repeat(2_000_000)}`;
    expect(codeOf(() => fromText(long))).toBe("ERR_TOO_LARGE");
    expect(looksLikeMiyuText(long)).toBe(false);
  });

  test("the largest envelope fits", () => {
    const bytes = new Uint8Array(1024 * 1024).fill(0xa5);
    expect(fromText(toText(bytes))).toHaveLength(bytes.length);
    expect(looksLikeMiyuText(toText(bytes))).toBe(true);
  });
});
