import { describe, expect, test } from "vitest";
import { concat, lp, utf8 } from "../../src/bytes.ts";
import { verifyBundle } from "../../src/envelope/bundle.ts";
import { decodeDeviceList } from "../../src/envelope/deviceList.ts";
import { BODY_INFO, HASHED, sign, SIGNED, verify, type SignedPurpose } from "../../src/envelope/signing.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { bundle, codeOf, crypto, errorOf, keyPair, owner } from "./fixtures.ts";

const random = seededRandom(testSeed("signing"));

describe("contexts", () => {
  const all = [...Object.values(SIGNED), ...Object.values(HASHED)];

  test("each starts with miyu/, ends with its only zero byte, and none starts another", () => {
    for (const one of all) expect(one).toMatch(/^miyu\/[a-z-]+\/v1\0$/);
    expect(new Set(all).size).toBe(all.length);
    for (const a of all) for (const b of all) expect(a !== b && b.startsWith(a)).toBe(false);
    expect(BODY_INFO.startsWith("miyu/")).toBe(true);
  });

  test("nothing we sign can be a Signal key: those start with 0x05 or 0x08", () => {
    const { privateKey, publicKey } = keyPair(random);
    const ours = Object.values(SIGNED).map((context) => utf8(context)[0]);
    expect(new Set(ours)).toEqual(new Set([0x6d]));
    const signature = crypto.xeddsaSign(privateKey, publicKey, random.bytes(64));
    for (const purpose of Object.keys(SIGNED) as SignedPurpose[]) {
      expect(codeOf(() => verify(crypto, publicKey, purpose, signature, publicKey))).toBe("ERR_SIGNATURE");
      const own = sign(crypto, random.bytes, privateKey, purpose, publicKey);
      expect(codeOf(() => crypto.xeddsaVerify(publicKey.subarray(1), publicKey, own))).toBe("ERR_SIGNATURE");
      expect(codeOf(() => verify(crypto, publicKey, purpose, own, publicKey))).toBeUndefined();
    }
  });

  test("a signature of one purpose is none of another", () => {
    const { privateKey, publicKey } = keyPair(random);
    const message = random.bytes(100);
    for (const made of Object.keys(SIGNED) as SignedPurpose[]) {
      const signature = sign(crypto, random.bytes, privateKey, made, message);
      for (const read of Object.keys(SIGNED) as SignedPurpose[]) {
        expect(codeOf(() => verify(crypto, publicKey, read, signature, message)), `${made} as ${read}`).toBe(made === read ? undefined : "ERR_SIGNATURE");
      }
      expect(errorOf(() => verify(crypto, publicKey, made, signature, message.with(0, (message[0] ?? 0) ^ 1))).detail).toEqual({ what: made });
      expect(codeOf(() => verify(crypto, publicKey, made, signature.subarray(1), message))).toBe("ERR_SIGNATURE");
    }
  });

  test("a list signed as a bundle is no list, a bundle signed as a list is no bundle", () => {
    const alice = owner(random, "alice", 1);
    const listBytes = alice.list.signed.slice(0, -64);
    const asBundle = concat(listBytes, sign(crypto, random.bytes, alice.account.privateKey, "bundle", listBytes));
    expect(codeOf(() => decodeDeviceList(crypto, asBundle))).toBe("ERR_SIGNATURE");
    const [device] = alice.devices;
    if (device === undefined) throw new Error("a device expected");
    const bundleBytes = bundle(random, "alice", device).signed.slice(0, -64);
    const parts = [lp(utf8("alice")), bundleBytes];
    const sealedAs = (purpose: SignedPurpose): string | undefined =>
      codeOf(() => verifyBundle(crypto, "alice", device.identity.publicKey, concat(bundleBytes, sign(crypto, random.bytes, device.identity.privateKey, purpose, ...parts))));
    expect(sealedAs("bundle")).toBeUndefined();
    expect(sealedAs("device list")).toBe("ERR_SIGNATURE");
    expect(sealedAs("device proof")).toBe("ERR_SIGNATURE");
  });

  test("a private key of a wrong length is the caller's mistake, and none of it is in the error", () => {
    const error = errorOf(() => sign(crypto, random.bytes, random.bytes(31), "bundle", random.bytes(1)));
    expect(error.code).toBe("ERR_USAGE");
  });
});
