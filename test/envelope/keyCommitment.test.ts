/**
 * Poly1305 does not commit to its key: a sender who picks two keys can solve for a body that authenticates under both, and show
 * two devices two different texts. Built here for real, then refused by the key hash in the header.
 */
import { xchacha20 } from "@noble/ciphers/chacha.js";
import { expect, test } from "vitest";
import { concat, utf8, type Bytes } from "../../src/bytes.ts";
import { bindHash, openBody, sealBody, type Envelope } from "../../src/envelope/envelope.ts";
import { seededRandom, testSeed, type SeededRandom } from "../support/random.ts";
import { codeOf, crypto } from "./fixtures.ts";

const P = 2n ** 130n - 5n;
const NONCE = new Uint8Array(24);

const little = (bytes: Uint8Array): bigint => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
const block = (value: bigint): Bytes => Uint8Array.from({ length: 16 }, (_, i) => Number((value >> BigInt(8 * i)) & 255n));
const mod = (value: bigint): bigint => ((value % P) + P) % P;
const power = (base: bigint, exponent: bigint): bigint => (exponent === 0n ? 1n : mod(power(mod(base * base), exponent / 2n) * (exponent % 2n === 1n ? base : 1n)));
const padTo16 = (bytes: Uint8Array): Bytes => concat(bytes, new Uint8Array((16 - (bytes.length % 16)) % 16));

/** Poly1305 blocks of an AEAD body as numbers, each with its 2¹²⁸ bit. */
function blocksOf(aad: Uint8Array, body: Uint8Array): bigint[] {
  const lengths = new Uint8Array(16);
  new DataView(lengths.buffer).setUint32(0, aad.length, true);
  new DataView(lengths.buffer).setUint32(8, body.length, true);
  const bytes = concat(padTo16(aad), padTo16(body), lengths);
  return Array.from({ length: bytes.length / 16 }, (_, i) => little(bytes.subarray(16 * i, 16 * i + 16)) + 2n ** 128n);
}

/** 128 bytes and a tag that authenticate under both keys with the same associated bytes. */
function twoFacedBody(random: SeededRandom, keys: readonly [Uint8Array, Uint8Array], aad: Uint8Array): Bytes {
  const macs = keys.map((key) => xchacha20(key, NONCE, new Uint8Array(32)));
  const secrets = macs.map((mac) => ({ r: little(mac.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn, s: little(mac.subarray(16, 32)) }));
  for (;;) {
    const body = random.bytes(128);
    body.fill(0, 96);
    const tag = little(random.bytes(16));
    const all = blocksOf(aad, body);
    // Blocks 6 and 7 of the body are unknown; only the length block follows them, so they are multiplied by r³ and r².
    const rows = secrets.map(({ r, s }) => {
      const sum = all.reduce((total, value, i) => mod(total + value * power(r, BigInt(all.length - i))), 0n);
      return { x: power(r, 3n), y: power(r, 2n), value: mod(((tag - s + 2n ** 129n) % 2n ** 128n) - sum) };
    });
    const [one, two] = rows;
    if (one === undefined || two === undefined) throw new Error("two keys expected");
    const inverse = power(mod(one.x * two.y - two.x * one.y), P - 2n);
    const x = mod((one.value * two.y - two.value * one.y) * inverse);
    const y = mod((one.x * two.value - two.x * one.value) * inverse);
    if (x >= 2n ** 128n || y >= 2n ** 128n) continue;
    body.set(block(x), 96);
    body.set(block(y), 112);
    return concat(body, block(tag));
  }
}

test("a body that authenticates under two keys opens under the committed one only", () => {
  const random = seededRandom(testSeed("key commitment"));
  const { header, slotPlaintext } = sealBody(crypto, random.bytes, { id: random.bytes(16), senderDevice: random.bytes(16) }, new Uint8Array(128));
  const contentKeys = [slotPlaintext.slice(0, 32), random.bytes(32)] as const;
  const bodyKey = (contentKey: Uint8Array): Bytes => crypto.hkdfSha256(contentKey, undefined, utf8("miyu/body/v1"), 32);
  const keys = [bodyKey(contentKeys[0]), bodyKey(contentKeys[1])] as const;
  const body = twoFacedBody(random, keys, header.bytes);

  const texts = keys.map((key) => crypto.aeadOpen(key, NONCE, header.bytes, body));
  expect(texts[0]).not.toEqual(texts[1]);

  const envelope: Envelope = { header, slots: [], body };
  const bind = bindHash(crypto, envelope);
  expect(openBody(crypto, envelope, concat(contentKeys[0], bind))).toEqual(texts[0]);
  expect(codeOf(() => openBody(crypto, envelope, concat(contentKeys[1], bind)))).toBe("ERR_DECRYPT");
});
