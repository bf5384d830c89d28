/**
 * The second half of the provider contract: hashes, key derivation and ciphers on outside vectors, and what holds for
 * every function: typed errors that name sizes only, arguments left alone, results owned by the caller.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { concat, copy, toHex, utf8, type Bytes } from "../../src/bytes.ts";
import type { Crypto } from "../../src/crypto/types.ts";
import { MiyuError } from "../../src/errors.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { outcome } from "./outcome.ts";
import { fromHex, vectorFile, wycheproof } from "./vectors.ts";

/** Runs the contract on what `make` resolves to. */
export function symmetricContract(name: string, make: () => Promise<Crypto>): void {
  describe(`provider ${name}, symmetric`, () => {
    let crypto: Crypto;
    beforeAll(async () => {
      crypto = await make();
    });

    test("SHA-256 and SHA-512 of FIPS 180-4's example", () => {
      expect(toHex(crypto.sha256(utf8("abc")))).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
      expect(toHex(crypto.sha512(utf8("abc")))).toBe(
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
          "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
      );
      expect(toHex(crypto.sha256(new Uint8Array()))).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    });

    test("HMAC-SHA-256, Wycheproof", () => {
      wycheproof<{ tagSize: number }, { key: string; msg: string; tag: string }>("hmac_sha256", 174, (t, group) => {
        const tag = toHex(crypto.hmacSha256(fromHex(t.key), fromHex(t.msg)).subarray(0, group.tagSize / 8));
        return [tag === t.tag ? "valid" : "invalid", t.result];
      });
    });

    test("HKDF-SHA-256, Wycheproof", () => {
      wycheproof<object, { ikm: string; salt: string; info: string; size: number; okm: string }>("hkdf_sha256", 86, (t) => [
        outcome(() => crypto.hkdfSha256(fromHex(t.ikm), fromHex(t.salt), fromHex(t.info), t.size)),
        t.result === "valid" ? t.okm : "ERR_USAGE",
      ]);
    });

    test("HKDF-SHA-256, RFC 5869 A.1–A.3, with its extract step", () => {
      const { tests } = vectorFile<{ tests: readonly Record<"ikm" | "salt" | "info" | "prk" | "okm", string>[] }>("rfc/rfc5869-hkdf-sha256.json");
      expect(tests.length).toBe(3);
      for (const t of tests) {
        const [ikm, salt, info, okm] = [fromHex(t.ikm), fromHex(t.salt), fromHex(t.info), fromHex(t.okm)];
        expect(toHex(crypto.hmacSha256(salt.length === 0 ? new Uint8Array(32) : salt, ikm))).toBe(t.prk);
        expect(toHex(crypto.hkdfSha256(ikm, salt, info, okm.length))).toBe(t.okm);
      }
    });

    test("HKDF without a salt is HKDF with 32 zero bytes; its length has limits", () => {
      const [ikm, info] = [utf8("secret"), utf8("info")];
      const zeros = crypto.hkdfSha256(ikm, new Uint8Array(32), info, 96);
      expect(toHex(crypto.hkdfSha256(ikm, undefined, info, 96))).toBe(toHex(zeros));
      expect(toHex(crypto.hkdfSha256(ikm, undefined, info, 40))).toBe(toHex(zeros.subarray(0, 40)));
      expect(crypto.hkdfSha256(ikm, undefined, info, 0).length).toBe(0);
      expect(crypto.hkdfSha256(ikm, undefined, info, 8160).length).toBe(8160);
      for (const length of [8161, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(outcome(() => crypto.hkdfSha256(ikm, undefined, info, length))).toBe("ERR_USAGE");
      }
    });

    test("AES-256-CBC, Wycheproof, both directions", () => {
      wycheproof<{ keySize: number }, { key: string; iv: string; msg: string; ct: string }>("aes_cbc_pkcs5", 216, (t, group) => {
        const [key, iv] = [fromHex(t.key), fromHex(t.iv)];
        const opened = outcome(() => crypto.aesCbcDecrypt(key, iv, fromHex(t.ct)));
        if (group.keySize !== 256) return [opened, "ERR_USAGE"];
        if (t.result !== "valid") return [opened, "ERR_DECRYPT"];
        return [`${toHex(crypto.aesCbcEncrypt(key, iv, fromHex(t.msg)))} ${opened}`, `${t.ct} ${t.msg}`];
      });
    });

    test("AES-256-CBC refuses every wrong length and padding", () => {
      const [key, iv] = [new Uint8Array(32).fill(1), new Uint8Array(16).fill(2)];
      for (let size = 0; size <= 48; size++) {
        const sealed = crypto.aesCbcEncrypt(key, iv, new Uint8Array(size).fill(size));
        expect(sealed.length).toBe((Math.floor(size / 16) + 1) * 16);
        expect(toHex(crypto.aesCbcDecrypt(key, iv, sealed))).toBe(toHex(new Uint8Array(size).fill(size)));
        if (size % 16 !== 0 || size === 0) {
          expect(outcome(() => crypto.aesCbcDecrypt(key, iv, new Uint8Array(size)))).toBe("ERR_DECRYPT");
        }
      }
    });

    test("XChaCha20-Poly1305, Wycheproof, both directions", () => {
      interface Case {
        key: string;
        iv: string;
        aad: string;
        msg: string;
        ct: string;
        tag: string;
      }
      wycheproof<{ ivSize: number }, Case>("xchacha20_poly1305", 315, (t, group) => {
        const [key, nonce, aad, sealed] = [fromHex(t.key), fromHex(t.iv), fromHex(t.aad), fromHex(t.ct + t.tag)];
        const opened = outcome(() => crypto.aeadOpen(key, nonce, aad, sealed));
        if (group.ivSize !== 192) return [opened, "ERR_USAGE"];
        if (t.result !== "valid") return [opened, "ERR_DECRYPT"];
        return [`${toHex(crypto.aeadSeal(key, nonce, aad, fromHex(t.msg)))} ${opened}`, `${t.ct}${t.tag} ${t.msg}`];
      });
    });

    test("XChaCha20-Poly1305 refuses every flipped bit and every truncation", () => {
      const random = seededRandom(testSeed(`${name} aead`));
      const [key, nonce, aad] = [random.bytes(32), random.bytes(24), random.bytes(9)];
      const parts = [key, nonce, aad, crypto.aeadSeal(key, nonce, aad, random.bytes(37))] as const;
      expect(crypto.aeadOpen(...parts).length).toBe(37);
      for (const [index, part] of parts.entries()) {
        for (let bit = 0; bit < part.length * 8; bit++) {
          const changed = copy(part);
          changed[bit >>> 3] = (part[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
          const [k, n, a, s] = parts.map((same, at) => (at === index ? changed : same)) as [Bytes, Bytes, Bytes, Bytes];
          expect(outcome(() => crypto.aeadOpen(k, n, a, s)), `seed ${String(random.seed)}`).toBe("ERR_DECRYPT");
        }
      }
      for (let size = 0; size < parts[3].length; size++) {
        expect(outcome(() => crypto.aeadOpen(key, nonce, aad, parts[3].subarray(0, size)))).toBe("ERR_DECRYPT");
      }
      expect(outcome(() => crypto.aeadOpen(key, nonce, aad, concat(parts[3], new Uint8Array(1))))).toBe("ERR_DECRYPT");
    });

    test("equal", () => {
      expect(crypto.equal(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
      expect(crypto.equal(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
      expect(crypto.equal(Uint8Array.of(1, 2), Uint8Array.of(1))).toBe(false);
      expect(crypto.equal(new Uint8Array(), new Uint8Array())).toBe(true);
    });

    test("a key, nonce or random of the wrong size is ERR_USAGE and named, its bytes are not", () => {
      const sizes = { privateKey: 32, publicKey: 32, random: 64, key: 32, iv: 16, nonce: 24 };
      const secret = (size: number) => new Uint8Array(size).fill(0xab);
      const calls: readonly (readonly [keyof typeof sizes, (bytes: Bytes) => Bytes | void])[] = [
        ["privateKey", (b) => crypto.x25519PublicKey(b)],
        ["privateKey", (b) => crypto.x25519(b, secret(32))],
        ["publicKey", (b) => crypto.x25519(secret(32), b)],
        ["publicKey", (b) => crypto.checkBaseKey(b)],
        ["privateKey", (b) => crypto.xeddsaSign(b, secret(1), secret(64))],
        ["random", (b) => crypto.xeddsaSign(secret(32), secret(1), b)],
        ["key", (b) => crypto.aesCbcEncrypt(b, secret(16), secret(1))],
        ["iv", (b) => crypto.aesCbcEncrypt(secret(32), b, secret(1))],
        ["key", (b) => crypto.aesCbcDecrypt(b, secret(16), secret(16))],
        ["iv", (b) => crypto.aesCbcDecrypt(secret(32), b, secret(16))],
        ["key", (b) => crypto.aeadSeal(b, secret(24), secret(1), secret(1))],
        ["nonce", (b) => crypto.aeadSeal(secret(32), b, secret(1), secret(1))],
        ["key", (b) => crypto.aeadOpen(b, secret(24), secret(1), secret(20))],
        ["nonce", (b) => crypto.aeadOpen(secret(32), b, secret(1), secret(20))],
      ];
      for (const [what, call] of calls) {
        for (const size of [0, 1, sizes[what] - 1, sizes[what] + 1, 2 * sizes[what]]) {
          let caught: unknown;
          try {
            call(secret(size));
          } catch (error) {
            caught = error;
          }
          expect(MiyuError.is(caught, "ERR_USAGE") && caught.detail).toEqual({
            reason: `${what} must be ${String(sizes[what])} bytes, not ${String(size)}`,
          });
        }
      }
    });

    test("arguments are left alone, results are fresh and fill a buffer of their own", () => {
      const random = seededRandom(testSeed(`${name} ownership`));
      const [privateKey, key, nonce, iv] = [random.bytes(32), random.bytes(32), random.bytes(24), random.bytes(16)];
      const message = random.bytes(33);
      const publicKey = crypto.x25519PublicKey(random.bytes(32));
      const signature = crypto.xeddsaSign(privateKey, message, random.bytes(64));
      const own = crypto.x25519PublicKey(privateKey);
      const calls: Record<string, [args: Uint8Array[], call: (...args: Bytes[]) => Bytes | void]> = {
        x25519PublicKey: [[privateKey], (a) => crypto.x25519PublicKey(a)],
        x25519: [[privateKey, publicKey], (...a) => crypto.x25519(...(a as [Bytes, Bytes]))],
        checkBaseKey: [[publicKey], (a) => crypto.checkBaseKey(a)],
        xeddsaSign: [[privateKey, message, random.bytes(64)], (...a) => crypto.xeddsaSign(...(a as [Bytes, Bytes, Bytes]))],
        xeddsaVerify: [[own, message, signature], (...a) => crypto.xeddsaVerify(...(a as [Bytes, Bytes, Bytes]))],
        sha256: [[message], (a) => crypto.sha256(a)],
        sha512: [[message], (a) => crypto.sha512(a)],
        hmacSha256: [[key, message], (...a) => crypto.hmacSha256(...(a as [Bytes, Bytes]))],
        "hmacSha256, long key": [[random.bytes(100), message], (...a) => crypto.hmacSha256(...(a as [Bytes, Bytes]))],
        hkdfSha256: [[key, iv, message], (...a) => crypto.hkdfSha256(...(a as [Bytes, Bytes, Bytes]), 32)],
        "hkdfSha256, more": [[key, iv, message], (...a) => crypto.hkdfSha256(...(a as [Bytes, Bytes, Bytes]), 80)],
        aesCbcEncrypt: [[key, iv, message], (...a) => crypto.aesCbcEncrypt(...(a as [Bytes, Bytes, Bytes]))],
        aesCbcDecrypt: [[key, iv, crypto.aesCbcEncrypt(key, iv, message)], (...a) => crypto.aesCbcDecrypt(...(a as [Bytes, Bytes, Bytes]))],
        aeadSeal: [[key, nonce, iv, message], (...a) => crypto.aeadSeal(...(a as [Bytes, Bytes, Bytes, Bytes]))],
        aeadOpen: [[key, nonce, iv, crypto.aeadSeal(key, nonce, iv, message)], (...a) => crypto.aeadOpen(...(a as [Bytes, Bytes, Bytes, Bytes]))],
      };
      for (const [what, [args, call]] of Object.entries(calls)) {
        // Views into a larger buffer: a result that forgets byteOffset, or a write beyond the view, shows.
        const frames = args.map((each) => concat(new Uint8Array(5).fill(0x55), each, new Uint8Array(3).fill(0xaa)));
        const before = frames.map((frame) => toHex(frame));
        const views = frames.map((frame) => frame.subarray(5, frame.length - 3));
        const plain = call(...args.map((each) => copy(each)));
        const [first, second] = [call(...views), call(...views)];
        expect(frames.map((frame) => toHex(frame)), what).toEqual(before);
        if (!plain || !first || !second) continue;
        expect([toHex(first), toHex(second)], what).toEqual([toHex(plain), toHex(plain)]);
        const buffers = [first, second, ...frames].map((each) => each.buffer);
        expect(new Set(buffers).size, what).toBe(buffers.length);
        expect([first.buffer instanceof ArrayBuffer, first.byteOffset, first.buffer.byteLength], what).toEqual([true, 0, first.length]);
        expect(Object.getPrototypeOf(first), what).toBe(Uint8Array.prototype);
        first.fill(0);
        expect(toHex(second), what).toBe(toHex(plain));
      }
    });
  });
}
