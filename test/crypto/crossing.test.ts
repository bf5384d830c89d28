/**
 * Providers against each other and against OpenSSL (`node:crypto`): the same inputs give the same bytes, and each opens,
 * agrees with and verifies what the other made. Seeded; the seed is printed.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  sign,
  verify,
} from "node:crypto";
import sumo from "libsodium-wrappers-sumo";
import { describe, expect, test } from "vitest";
import { concat, copy, toBase64url, toHex } from "../../src/bytes.ts";
import { montgomeryToEdwards } from "../../src/crypto/curve25519.ts";
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { sodiumCrypto } from "../../src/crypto/sodium.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { asXeddsa, fromLe, L, le32, mixedPoint, montgomeryOf, P } from "./edwards.ts";
import { outcome } from "./outcome.ts";
import { fromHex } from "./vectors.ts";

const providers = [nobleCrypto, await sodiumCrypto(), await sodiumCrypto(sumo)] as const;
const pairs = providers.flatMap((a) => providers.filter((b) => b !== a).map((b) => [a.name, b.name, a, b] as const));
const random = seededRandom(testSeed("crossing"));
const seed = `seed ${String(random.seed)}`;
const someBytes = (max: number) => random.bytes(random.int(max));

describe.each(pairs)("%s and %s", (_, __, a, b) => {
  test("agree on keys and secrets", () => {
    for (let i = 0; i < 10; i++) {
      const [x, y] = [random.bytes(32), random.bytes(32)];
      const [X, Y] = [a.x25519PublicKey(x), b.x25519PublicKey(y)];
      expect(toHex(b.x25519PublicKey(x)), seed).toBe(toHex(X));
      expect(toHex(a.x25519(x, Y)), seed).toBe(toHex(b.x25519(y, X)));
      // Anything 32 bytes long, on the curve or its twist.
      const wild = random.bytes(32);
      expect(outcome(() => a.x25519(x, wild)), seed).toBe(outcome(() => b.x25519(x, wild)));
      expect(outcome(() => a.checkBaseKey(wild)), seed).toBe(outcome(() => b.checkBaseKey(wild)));
    }
  });

  test("sign the same and verify each other", () => {
    for (let i = 0; i < 6; i++) {
      const [key, message, z] = [random.bytes(32), someBytes(300), random.bytes(64)];
      const signature = a.xeddsaSign(key, message, z);
      expect(toHex(b.xeddsaSign(key, message, z)), seed).toBe(toHex(signature));
      expect(outcome(() => b.xeddsaVerify(a.x25519PublicKey(key), message, signature)), seed).toBe("ok");
    }
  });

  test("give one verdict on points with torsion", () => {
    const verdicts = new Map<string, number>();
    for (let i = 0; i < 64; i++) {
      const [scalar, nonce] = [fromLe(random.bytes(30)), fromLe(random.bytes(30))];
      const [A, R] = [mixedPoint(scalar, i % 8), mixedPoint(nonce, i >>> 3)];
      const message = random.bytes(20);
      const h = fromLe(a.sha512(concat(R, A, message))) % L;
      const carried = asXeddsa(A, concat(R, le32((nonce + h * scalar) % L)));
      if (carried === undefined) continue;
      const [left, right] = [a, b].map((each) => outcome(() => each.xeddsaVerify(carried.publicKey, message, carried.signature)));
      expect(left, seed).toBe(right);
      verdicts.set(String(left), (verdicts.get(String(left)) ?? 0) + 1);
    }
    // About one in eight survives the byte comparison; the untwisted one always does.
    expect(verdicts.get("ok"), seed).toBeGreaterThan(0);
    expect(verdicts.get("ERR_SIGNATURE"), seed).toBeGreaterThan(0);
  });

  test("hash, derive, seal and open alike", () => {
    for (let i = 0; i < 40; i++) {
      const [key, iv, nonce, aad, message] = [random.bytes(32), random.bytes(16), random.bytes(24), someBytes(50), someBytes(500)];
      const macKey = someBytes(150);
      expect([a.sha256(message), a.sha512(message), a.hmacSha256(macKey, message)].map(toHex), seed).toEqual(
        [b.sha256(message), b.sha512(message), b.hmacSha256(macKey, message)].map(toHex),
      );
      expect(toHex(a.hkdfSha256(key, macKey, aad, 80)), seed).toBe(toHex(b.hkdfSha256(key, macKey, aad, 80)));
      expect(toHex(b.aesCbcDecrypt(key, iv, a.aesCbcEncrypt(key, iv, message))), seed).toBe(toHex(message));
      expect(toHex(b.aeadOpen(key, nonce, aad, a.aeadSeal(key, nonce, aad, message))), seed).toBe(toHex(message));
    }
  });
});

describe.each(providers.map((each) => [each.name, each] as const))("%s and OpenSSL", (_, crypto) => {
  const jwk = { kty: "OKP" } as const;
  /** An OpenSSL private key of 32 raw bytes, wrapped as PKCS#8 (RFC 8410). */
  const opensslPrivate = (oid: "6e" | "70", raw: Uint8Array) =>
    createPrivateKey({ key: Buffer.from(concat(fromHex(`302e020100300506032b65${oid}04220420`), raw)), format: "der", type: "pkcs8" });

  test("hashes, HMAC and HKDF", () => {
    for (let i = 0; i < 60; i++) {
      const [key, message, info] = [someBytes(200), someBytes(1000), someBytes(80)];
      const length = random.int(300);
      expect(toHex(crypto.sha256(message)), seed).toBe(createHash("sha256").update(message).digest("hex"));
      expect(toHex(crypto.sha512(message)), seed).toBe(createHash("sha512").update(message).digest("hex"));
      expect(toHex(crypto.hmacSha256(key, message)), seed).toBe(createHmac("sha256", key).update(message).digest("hex"));
      const theirs = new Uint8Array(hkdfSync("sha256", message, key, info, length));
      expect(toHex(crypto.hkdfSha256(message, key, info, length)), seed).toBe(toHex(theirs));
    }
  });

  test("AES-256-CBC, both ways and on damaged ciphertexts", () => {
    let refused = 0;
    for (let i = 0; i < 60; i++) {
      const [key, iv, message] = [random.bytes(32), random.bytes(16), someBytes(200)];
      const cipher = createCipheriv("aes-256-cbc", key, iv);
      const theirs = concat(cipher.update(message), cipher.final());
      expect(toHex(crypto.aesCbcEncrypt(key, iv, message)), seed).toBe(toHex(theirs));
      expect(toHex(crypto.aesCbcDecrypt(key, iv, theirs)), seed).toBe(toHex(message));
      const damaged = copy(theirs);
      damaged[random.int(damaged.length)] = random.int(256);
      const expected = outcomeOfOpenssl(() => {
        const decipher = createDecipheriv("aes-256-cbc", key, iv);
        return concat(decipher.update(damaged), decipher.final());
      });
      expect(outcome(() => crypto.aesCbcDecrypt(key, iv, damaged)), seed).toBe(expected);
      if (expected === "ERR_DECRYPT") refused++;
    }
    expect(refused, seed).toBeGreaterThan(0);
  });

  test("X25519 keys and secrets", () => {
    for (let i = 0; i < 15; i++) {
      const [mine, peer] = [random.bytes(32), generateKeyPairSync("x25519")];
      const openssl = opensslPrivate("6e", mine);
      const x = createPublicKey(openssl).export({ format: "jwk" }).x;
      expect(toBase64url(crypto.x25519PublicKey(mine)), seed).toBe(x);
      const peerPublic = new Uint8Array(peer.publicKey.export({ format: "der", type: "spki" }).subarray(12));
      const theirs = diffieHellman({ privateKey: openssl, publicKey: peer.publicKey });
      expect(toHex(crypto.x25519(mine, peerPublic)), seed).toBe(toHex(theirs));
      expect(outcome(() => crypto.checkBaseKey(peerPublic))).toBe("ok");
    }
  });

  test("OpenSSL verifies our XEdDSA signatures as plain Ed25519, and we verify its Ed25519 signatures", () => {
    const signs = new Set<number>();
    for (let i = 0; i < 15; i++) {
      const [key, message] = [random.bytes(32), someBytes(300)];
      const signature = crypto.xeddsaSign(key, message, random.bytes(64));
      const carriedSign = (signature[63] ?? 0) >>> 7;
      signs.add(carriedSign);
      const edwards = montgomeryToEdwards(crypto.x25519PublicKey(key), carriedSign) ?? new Uint8Array();
      const plain = copy(signature);
      plain[63] = (plain[63] ?? 0) & 0x7f;
      const ours = createPublicKey({ key: { ...jwk, crv: "Ed25519", x: toBase64url(edwards) }, format: "jwk" });
      expect(verify(null, message, ours, plain), seed).toBe(true);

      const theirs = opensslPrivate("70", random.bytes(32));
      const spki = new Uint8Array(createPublicKey(theirs).export({ format: "der", type: "spki" }).subarray(12));
      const carried = asXeddsa(spki, new Uint8Array(sign(null, message, theirs)));
      expect(carried && outcome(() => crypto.xeddsaVerify(carried.publicKey, message, carried.signature)), seed).toBe("ok");
    }
    expect(signs, seed).toEqual(new Set([0, 1]));
  });
});

test("the map from Montgomery to Edwards undoes the one of the tests, for both signs", () => {
  for (let i = 0; i < 20; i++) {
    const point = mixedPoint(fromLe(random.bytes(31)), random.int(8));
    const u = montgomeryOf(point);
    expect(u && toHex(montgomeryToEdwards(u, (point[31] ?? 0) >>> 7) ?? new Uint8Array()), seed).toBe(toHex(point));
  }
  expect(montgomeryToEdwards(le32(P - 1n), 0)).toBeUndefined();
  expect(toHex(montgomeryToEdwards(le32(P + 5n), 0) ?? new Uint8Array())).toBe(toHex(montgomeryToEdwards(le32(5n), 0) ?? new Uint8Array(1)));
});

function outcomeOfOpenssl(call: () => Uint8Array): string {
  try {
    return toHex(call());
  } catch {
    return "ERR_DECRYPT";
  }
}
