// HMAC and HKDF share their hash states between calls: whatever came before, the next call must not notice.
import { createHmac, hkdfSync } from "node:crypto";
import { expect, test } from "vitest";
import { toHex } from "../../src/bytes.ts";
import { hkdfSha256, hmacSha256 } from "../../src/crypto/hashes.ts";
import { seededRandom, testSeed } from "../support/random.ts";

const seed = testSeed("hashes");

test("300 calls in a row of any lengths give what OpenSSL gives, also after calls that threw", () => {
  const random = seededRandom(seed);
  const bytes = (max: number): Uint8Array => random.bytes(random.int(max));
  for (let i = 0; i < 300; i++) {
    const [key, message, info] = [bytes(200), bytes(300), bytes(100)];
    const note = `seed ${seed}, call ${i}`;
    if (random.int(2) === 0) {
      expect(toHex(hmacSha256(key, message)), note).toBe(createHmac("sha256", key).update(message).digest("hex"));
    } else {
      const length = random.int(400);
      const expected = new Uint8Array(hkdfSync("sha256", message, key, info, length));
      expect(toHex(hkdfSha256(message, key, info, length)), note).toBe(toHex(expected));
    }
    if (random.int(4) === 0) expect(() => hkdfSha256(message, key, "not bytes" as unknown as Uint8Array, 64)).toThrow(TypeError);
  }
});

test("neither keys nor messages are written to, and results are not shared", () => {
  const [key, message] = [new Uint8Array(80).fill(1), new Uint8Array(80).fill(2)];
  const first = hmacSha256(key, message);
  const copy = toHex(first);
  const derived = hkdfSha256(key, message, message, 80);
  expect(hmacSha256(key, message)).toEqual(first);
  first.fill(0);
  derived.fill(0);
  expect(toHex(hmacSha256(key, message))).toBe(copy);
  expect(key).toEqual(new Uint8Array(80).fill(1));
  expect(message).toEqual(new Uint8Array(80).fill(2));
});
