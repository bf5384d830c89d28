import { describe, expect, test } from "vitest";
import { concat, copy, lp, u32be, utf8, type Bytes } from "../../src/bytes.ts";
import { decodeAccountFileHeader, encodeAccountFile, openAccountFile, type Account, type KdfParameters } from "../../src/envelope/accountFile.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { codeOf, crypto, errorOf, flip, owner } from "./fixtures.ts";

const random = seededRandom(testSeed("account file"));
const alice = owner(random, "alice", 1);
const bob = owner(random, "bob", 1);
const key = random.bytes(32);
const kdf: KdfParameters = { t: 3, mKiB: 65_536, p: 1, salt: random.bytes(16) };
const account: Account = { user: "alice", accountPrivateKey: alice.account.privateKey, deviceList: alice.list };
const file = encodeAccountFile(crypto, random.bytes, key, kdf, account);
const HEADER = 55;

/** Seals any plaintext as a writer with the key could. */
const sealed = (plain: Uint8Array): Bytes => {
  const header = file.slice(0, HEADER);
  return concat(header, crypto.aeadSeal(key, header.subarray(31), header, plain));
};

describe("account file", () => {
  test("round trip", () => {
    expect(openAccountFile(crypto, key, file)).toEqual(account);
    expect(decodeAccountFileHeader(file).kdf).toEqual(kdf);
    expect(decodeAccountFileHeader(file).nonce).toEqual(file.slice(31, HEADER));
    expect(file.slice(0, 6)).toEqual(Uint8Array.of(0x4d, 0x49, 0x59, 0x55, 1, 1));
  });

  test("two exports share neither nonce nor ciphertext, and neither shows the key", () => {
    const again = encodeAccountFile(crypto, random.bytes, key, kdf, account);
    expect(again.subarray(31)).not.toEqual(file.subarray(31));
    expect(Buffer.from(file).includes(Buffer.from(alice.account.privateKey))).toBe(false);
  });

  test("key and account stay the caller's, unchanged", () => {
    const before = [copy(key), copy(account.accountPrivateKey), copy(file)];
    openAccountFile(crypto, key, file);
    encodeAccountFile(crypto, random.bytes, key, kdf, account);
    expect([key, account.accountPrivateKey, file]).toEqual(before);
  });

  test("the wrong key and every flipped byte: a typed error; behind the header always ERR_PASSPHRASE", () => {
    expect(codeOf(() => openAccountFile(crypto, random.bytes(32), file))).toBe("ERR_PASSPHRASE");
    for (let at = 0; at < file.length; at++) {
      const code = codeOf(() => openAccountFile(crypto, key, flip(file, at, at % 8)));
      if (at >= 15) expect(code, `byte ${String(at)}`).toBe("ERR_PASSPHRASE");
      else expect(code, `byte ${String(at)}`).toMatch(/^ERR_(DECODE|VERSION|PASSPHRASE)$/);
    }
    for (let n = 0; n < file.length; n++) expect(codeOf(() => openAccountFile(crypto, key, file.subarray(0, n)))).toBe(n < HEADER ? "ERR_DECODE" : "ERR_PASSPHRASE");
  });

  test("costs outside the limits are refused before anything is derived", () => {
    const cost = (t: number, mKiB: number, p: number): string | undefined => {
      const bytes = copy(file);
      bytes.set(concat(u32be(t), u32be(mKiB), Uint8Array.of(p)), 6);
      return codeOf(() => decodeAccountFileHeader(bytes));
    };
    const good: readonly [number, number, number][] = [[1, 8192, 1], [10, 1_048_576, 4]];
    for (const [t, mKiB, p] of good) expect(cost(t, mKiB, p)).toBeUndefined();
    const most = 0xffffffff;
    const bad: readonly [number, number, number][] = [[0, 65_536, 1], [11, 65_536, 1], [3, 8191, 1], [3, 1_048_577, 1], [3, 65_536, 0], [3, 65_536, 5], [most, most, 255]];
    for (const [t, mKiB, p] of bad) {
      expect(cost(t, mKiB, p), `${String(t)} ${String(mKiB)} ${String(p)}`).toBe("ERR_DECODE");
      expect(codeOf(() => encodeAccountFile(crypto, random.bytes, key, { ...kdf, t, mKiB, p }, account))).toBe("ERR_USAGE");
    }
    expect(codeOf(() => encodeAccountFile(crypto, random.bytes, key, { ...kdf, t: 1.5 }, account))).toBe("ERR_USAGE");
  });

  test("magic, type, version and size", () => {
    expect(codeOf(() => decodeAccountFileHeader(file.with(0, 0)))).toBe("ERR_DECODE");
    expect(codeOf(() => decodeAccountFileHeader(file.with(4, 2)))).toBe("ERR_DECODE");
    expect(errorOf(() => decodeAccountFileHeader(file.with(5, 2))).detail).toEqual({ what: "account file", version: 2 });
    expect(codeOf(() => decodeAccountFileHeader(concat(file, new Uint8Array(128 * 1024))))).toBe("ERR_TOO_LARGE");
  });

  test("an authentic file that contradicts itself is refused: another account's key or list, another epoch or hash", () => {
    const plain = (user: string, privateKey: Bytes, epoch: number, hash: Bytes, signed: Bytes): Bytes => concat(lp(utf8(user)), privateKey, u32be(epoch), hash, lp(signed));
    const { list } = alice;
    const open = (bytes: Bytes): string | undefined => codeOf(() => openAccountFile(crypto, key, sealed(bytes)));
    const mine = alice.account.privateKey;
    expect(open(plain("alice", mine, list.epoch, list.hash, list.signed))).toBeUndefined();
    expect(open(plain("alicf", mine, list.epoch, list.hash, list.signed))).toBe("ERR_DECODE");
    expect(open(plain("alice", bob.account.privateKey, list.epoch, list.hash, list.signed))).toBe("ERR_DECODE");
    expect(open(plain("alice", mine, list.epoch, list.hash, bob.list.signed))).toBe("ERR_DECODE");
    expect(open(plain("alice", mine, list.epoch + 1, list.hash, list.signed))).toBe("ERR_DECODE");
    expect(open(plain("alice", mine, list.epoch, bob.list.hash, list.signed))).toBe("ERR_DECODE");
    expect(open(plain("alice", mine, list.epoch, list.hash, flip(list.signed, list.signed.length - 40)))).toBe("ERR_SIGNATURE");
    expect(open(concat(plain("alice", mine, list.epoch, list.hash, list.signed), Uint8Array.of(0)))).toBe("ERR_DECODE");
    expect(codeOf(() => encodeAccountFile(crypto, random.bytes, key, kdf, { ...account, deviceList: bob.list }))).toBe("ERR_USAGE");
    expect(codeOf(() => encodeAccountFile(crypto, random.bytes, key.subarray(1), kdf, account))).toBe("ERR_USAGE");
    expect(codeOf(() => openAccountFile(crypto, key.subarray(1), file))).toBe("ERR_USAGE");
  });
});
