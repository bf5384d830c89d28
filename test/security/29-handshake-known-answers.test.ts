// Attack 29: agreements in another order, a wrong 0xFF prefix, a missing label: both sides of one library agree and nobody else does.
// Guard: the derivations of src/protocol/x3dh.ts and doubleRatchet.ts. Every step is computed again here with OpenSSL (X25519, HMAC,
// HKDF of node:crypto, no code shared) and compared, input by input; whatever is changed in a step, that step's test fails.
import { createHmac, createPrivateKey, createPublicKey, diffieHellman, hkdfSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { concat, toHex, type Bytes } from "../../src/bytes.ts";
import type { Crypto } from "../../src/crypto/types.ts";
import { messageKeys, messageSeed, nextChainKey, rootStep, runStep } from "../../src/protocol/doubleRatchet.ts";
import { generateKeyPair, type KeyPair } from "../../src/protocol/index.ts";
import { initiatorSecrets, responderSecrets } from "../../src/protocol/x3dh.ts";
import { acquainted, fromHex, numbered } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { PROVIDERS } from "./providers.ts";
import { currentOf } from "./villain.ts";

const random = seededRandom(testSeed("29 known answers"));

/** X25519 by OpenSSL. */
function dh(ours: KeyPair, theirs: KeyPair): Buffer {
  const privateKey = createPrivateKey({ key: Buffer.from(concat(fromHex("302e020100300506032b656e04220420"), ours.privateKey)), format: "der", type: "pkcs8" });
  const publicKey = createPublicKey({ key: Buffer.from(concat(fromHex("302a300506032b656e032100"), theirs.publicKey.subarray(1))), format: "der", type: "spki" });
  return diffieHellman({ privateKey, publicKey });
}
const hkdf = (secret: Uint8Array, salt: Uint8Array, info: string, length: number): Buffer => Buffer.from(hkdfSync("sha256", secret, salt, info, length));
const hmac = (key: Uint8Array, byte: number): string => createHmac("sha256", key).update(Uint8Array.of(byte)).digest("hex");
const NONE = new Uint8Array(32);

describe.each(PROVIDERS)("$crypto.name", ({ crypto }) => {
  const pairOf = (): KeyPair => generateKeyPair(crypto, random.bytes);

  test.each([true, false])("X3DH: secret, salt, label, length and how the result is cut (one-time prekey: %s)", (oneTime) => {
    const [identityA, baseA, identityB, signedB, oneTimeB] = [pairOf(), pairOf(), pairOf(), pairOf(), pairOf()];
    const calls: string[] = [];
    const spy: Crypto = {
      ...crypto,
      hkdfSha256: (secret, salt, info, length) => {
        calls.push(`${toHex(secret)} ${salt ? toHex(salt) : "none"} ${new TextDecoder().decode(info)} ${String(length)}`);
        return crypto.hkdfSha256(secret, salt, info, length);
      },
    };
    const parts = [new Uint8Array(32).fill(0xff), dh(identityA, signedB), dh(baseA, identityB), dh(baseA, signedB), ...(oneTime ? [dh(baseA, oneTimeB)] : [])];
    const secret = concat(...parts);
    const expected = hkdf(secret, NONE, "WhisperText", 64).toString("hex");
    const initiator = runStep((secrets) =>
      initiatorSecrets(spy, secrets, {
        identityKeyPair: identityA,
        baseKeyPair: baseA,
        remoteIdentityKey: identityB.publicKey,
        remoteSignedPreKey: signedB.publicKey,
        remoteOneTimePreKey: oneTime ? oneTimeB.publicKey : undefined,
      }),
    );
    const responder = runStep((secrets) =>
      responderSecrets(spy, secrets, {
        identityKeyPair: identityB,
        signedPreKeyPair: signedB,
        oneTimePreKeyPair: oneTime ? oneTimeB : undefined,
        remoteIdentityKey: identityA.publicKey,
        remoteBaseKey: baseA.publicKey,
      }),
    );
    for (const result of [initiator, responder]) expect(toHex(concat(result.rootKey, result.chainKey))).toBe(expected);
    expect(calls).toEqual(Array.from({ length: 2 }, () => `${toHex(secret)} none WhisperText 64`));
  });

  test("root step: HKDF(DH, salt root key, WhisperRatchet, 64), root key first", () => {
    const [ours, theirs] = [pairOf(), pairOf()];
    const root = random.bytes(32);
    const result = runStep((secrets) => rootStep(crypto, secrets, root, ours.privateKey, theirs.publicKey));
    expect(toHex(concat(result.rootKey, result.chainKey))).toBe(hkdf(dh(ours, theirs), root, "WhisperRatchet", 64).toString("hex"));
  });

  test("chain step and message keys: HMAC of 1 and of 2, HKDF with WhisperMessageKeys, cut 32, 32, 16", () => {
    const chainKey = random.bytes(32);
    expect(toHex(messageSeed(crypto, chainKey))).toBe(hmac(chainKey, 1));
    expect(toHex(nextChainKey(crypto, chainKey))).toBe(hmac(chainKey, 2));
    const seed = random.bytes(32);
    const expected = hkdf(seed, NONE, "WhisperMessageKeys", 80).toString("hex");
    runStep((secrets) => {
      const { cipherKey, macKey, iv } = messageKeys(crypto, secrets, seed);
      expect([toHex(cipherKey), toHex(macKey), toHex(iv)]).toEqual([expected.slice(0, 64), expected.slice(64, 128), expected.slice(128)]);
    });
  });

  test("MAC: both identities, sender first, then the bytes as they travel; eight bytes of it", () => {
    const [alice] = acquainted(random, crypto);
    const { senderChain, localIdentityKey, remoteIdentityKey } = currentOf(alice);
    const seed = Buffer.from(hmac(senderChain.chainKey, 1), "hex");
    const macKey = hkdf(seed, NONE, "WhisperMessageKeys", 80).subarray(32, 64);
    const sender: Bytes = concat(localIdentityKey);
    const { message } = alice.encrypt(numbered(1));
    const mac = createHmac("sha256", macKey).update(sender).update(remoteIdentityKey).update(message.subarray(0, -8)).digest("hex").slice(0, 16);
    expect(toHex(message.subarray(-8))).toBe(mac);
  });
});
