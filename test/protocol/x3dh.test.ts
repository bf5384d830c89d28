import { hkdfSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { concat, toHex, type Bytes } from "../../src/bytes.ts";
import type { Crypto } from "../../src/crypto/types.ts";
import { runStep, type RootStep, type StepSecrets } from "../../src/protocol/doubleRatchet.ts";
import { generateKeyPair, keyPairFromPrivate, PUBLIC_KEY_TYPE } from "../../src/protocol/keys.ts";
import { initiatorSecrets, responderSecrets } from "../../src/protocol/x3dh.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { codeOf, crypto, fromHex, wireVectors } from "./parties.ts";

interface Handshake {
  alice: { identity_private: string; base_private: string };
  bob: { identity_private: string; signed_prekey_private: string; one_time_prekey_private: string };
  dh1_IKa_SPKb: string;
  dh2_EKa_IKb: string;
  dh3_EKa_SPKb: string;
  dh4_EKa_OPKb: string;
}

const vector = wireVectors<Handshake[]>("pqxdh")[0];
if (!vector) throw new Error("no handshake vector");
const pairOf = (hex: string): ReturnType<typeof keyPairFromPrivate> => keyPairFromPrivate(crypto, fromHex(hex));
const alice = { identity: pairOf(vector.alice.identity_private), base: pairOf(vector.alice.base_private) };
const bob = {
  identity: pairOf(vector.bob.identity_private),
  signed: pairOf(vector.bob.signed_prekey_private),
  oneTime: pairOf(vector.bob.one_time_prekey_private),
};

describe.each([true, false])("with a one-time prekey: %s", (withOneTime) => {
  // The agreements are those of the vector; the derivation around them is node's, so neither side checks itself.
  const agreements = [vector.dh1_IKa_SPKb, vector.dh2_EKa_IKb, vector.dh3_EKa_SPKb, ...(withOneTime ? [vector.dh4_EKa_OPKb] : [])];
  const secret = concat(new Uint8Array(32).fill(0xff), ...agreements.map(fromHex));
  const derived = new Uint8Array(hkdfSync("sha256", secret, new Uint8Array(32), "WhisperText", 64));
  const expected = [toHex(derived.subarray(0, 32)), toHex(derived.subarray(32))];

  test("initiator", () => {
    const { rootKey, chainKey } = runStep((secrets) =>
      initiatorSecrets(crypto, secrets, {
        identityKeyPair: alice.identity,
        baseKeyPair: alice.base,
        remoteIdentityKey: bob.identity.publicKey,
        remoteSignedPreKey: bob.signed.publicKey,
        remoteOneTimePreKey: withOneTime ? bob.oneTime.publicKey : undefined,
      }),
    );
    expect([rootKey, chainKey].map(toHex)).toEqual(expected);
  });

  test("responder", () => {
    const { rootKey, chainKey } = runStep((secrets) => respondTo(crypto, secrets, alice.base.publicKey, withOneTime));
    expect([rootKey, chainKey].map(toHex)).toEqual(expected);
  });
});

function respondTo(provider: Crypto, secrets: StepSecrets, remoteBaseKey: Uint8Array, withOneTime: boolean): RootStep {
  return responderSecrets(provider, secrets, {
    identityKeyPair: bob.identity,
    signedPreKeyPair: bob.signed,
    oneTimePreKeyPair: withOneTime ? bob.oneTime : undefined,
    remoteIdentityKey: alice.identity.publicKey,
    remoteBaseKey,
  });
}

describe("the base key is judged before any private key is used", () => {
  const random = seededRandom(testSeed("x3dh"));
  const fresh = generateKeyPair(crypto, random.bytes).publicKey;
  const highBit = fresh.slice();
  highBit[32] = (highBit[32] ?? 0) | 0x80;
  const lowOrder = wireVectors<{ low_order: { public: string }[] }>("ec_keys").low_order.map(({ public: key }) => fromHex(key));
  const overP = new Uint8Array(33).fill(0xff);
  overP.set([PUBLIC_KEY_TYPE, 0xef]);
  overP[32] = 0x7f;

  test.each([
    ["high bit set", highBit],
    ["p + 2", overP],
    ...lowOrder.map((key, i): [string, Bytes] => [`low order ${String(i)}`, key]),
  ])("%s", (_name, baseKey) => {
    let agreements = 0;
    const counting: Crypto = {
      ...crypto,
      x25519: (privateKey, publicKey) => {
        agreements++;
        return crypto.x25519(privateKey, publicKey);
      },
    };
    expect(codeOf(() => runStep((secrets) => respondTo(counting, secrets, baseKey, true)))).toBe("ERR_DECRYPT");
    expect(agreements).toBe(0);
  });
});
