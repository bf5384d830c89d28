// Attack 10: secrets stay in memory because the wiping fell off (CVE-2024-34063). Guards: `runStep` of src/protocol/doubleRatchet.ts,
// `commitSessions` of src/client/sessions.ts, `closeAccount`, `Vault.close`. A provider that remembers every key it was given and every
// secret it gave out looks at them after the call: without the wiping they are still there.
import { memoryMedium } from "miyu/store/memory";
import { describe, expect, test } from "vitest";
import { toHex, type Bytes } from "../../src/bytes.ts";
import type { Crypto } from "../../src/crypto/types.ts";
import { codeOf, pair, numbered } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { crypto, open, say, seal, settled, World } from "./people.ts";
import { flip } from "./villain.ts";

const random = seededRandom(testSeed("10 wiping"));
const alive = (buffers: Iterable<Uint8Array>): Uint8Array[] => [...buffers].filter((bytes) => bytes.some((byte) => byte !== 0));

/** A provider that remembers buffers by what they were for. */
function watched(): { readonly provider: Crypto; readonly keys: Set<Uint8Array>; readonly secrets: Set<Uint8Array>; readonly plaintexts: Set<Uint8Array>; readonly hmacs: Set<Uint8Array>; clear(): void } {
  const keys = new Set<Uint8Array>();
  const secrets = new Set<Uint8Array>();
  const plaintexts = new Set<Uint8Array>();
  const hmacs = new Set<Uint8Array>();
  const given = <T extends Bytes>(to: Set<Uint8Array>, bytes: T): T => {
    to.add(bytes);
    return bytes;
  };
  const provider: Crypto = {
    ...crypto,
    x25519PublicKey: (key) => (keys.add(key), crypto.x25519PublicKey(key)),
    x25519: (key, other) => (keys.add(key), given(secrets, crypto.x25519(key, other))),
    xeddsaSign: (key, message, noise) => (keys.add(key), crypto.xeddsaSign(key, message, noise)),
    hmacSha256: (key, message) => given(hmacs, crypto.hmacSha256(key, message)),
    hkdfSha256: (secret, salt, info, length) => (secrets.add(secret), given(secrets, crypto.hkdfSha256(secret, salt, info, length))),
    aesCbcEncrypt: (key, iv, plaintext) => (secrets.add(key), crypto.aesCbcEncrypt(key, iv, plaintext)),
    aesCbcDecrypt: (key, iv, text) => (secrets.add(key), given(plaintexts, crypto.aesCbcDecrypt(key, iv, text))),
    aeadSeal: (key, nonce, aad, plaintext) => (keys.add(key), crypto.aeadSeal(key, nonce, aad, plaintext)),
    aeadOpen: (key, nonce, aad, text) => (keys.add(key), crypto.aeadOpen(key, nonce, aad, text)),
  };
  return { provider, keys, secrets, plaintexts, hmacs, clear: () => [keys, secrets, plaintexts, hmacs].forEach((set) => set.clear()) };
}

test("message keys, agreements and slot plaintexts are gone when encrypt and decrypt return", async () => {
  const world = new World(random);
  const spies = [watched(), watched()] as const;
  const [alice, bob] = [await world.join("alice", { crypto: spies[0].provider }), await world.join("bob", { crypto: spies[1].provider })];
  for (let turn = 0; turn < 3; turn++) {
    for (const spy of spies) spy.clear();
    const { body } = await seal(alice, bob, "one");
    await open(bob, alice, body);
    await open(bob, alice, flip(body, body.length - 1));
    await open(bob, alice, flip((await seal(alice, bob, "two")).body, 120));
    await say(bob, alice, "three");
    await settled(alice, bob);
    for (const spy of spies) {
      expect(spy.secrets.size).toBeGreaterThan(8);
      expect(spy.plaintexts.size).toBeGreaterThan(0);
      // Keys that live on are views of records of the moment, copied and wiped with them: nothing of the secrets is.
      expect(alive(spy.secrets).map(toHex)).toEqual([]);
      expect(alive(spy.plaintexts).map(toHex)).toEqual([]);
    }
  }
});

test("after close no private key and no key of the store is left", async () => {
  const world = new World(random);
  const spy = watched();
  const medium = memoryMedium();
  const alice = await world.join("alice", { crypto: spy.provider, medium });
  const bob = await world.join("bob");
  await say(alice, bob, "hi");
  await say(bob, alice, "hi");
  await settled(alice, bob);
  expect(spy.keys.size).toBeGreaterThan(5);
  expect(alive(spy.keys).length).toBeGreaterThan(0);
  await alice.client.close();
  expect(alive(spy.keys).map(toHex)).toEqual([]);
  expect(alive(spy.secrets).map(toHex)).toEqual([]);
});

describe("the protocol core", () => {
  test("a step that throws wipes all it derived; a step that succeeds hands over what is spent", () => {
    const spy = watched();
    const [alice, bob] = pair(random, true, spy.provider);
    const { kind, message } = alice.encrypt(numbered(1));
    spy.clear();
    const at = message.length - 5;
    expect(codeOf(() => bob.decrypt({ kind, message: flip(message, at) }))).toBe("ERR_DECRYPT");
    expect(alive(spy.secrets)).toEqual([]);
    // Seeds and the chain key a new state would have held are gone too; what is left is the MAC of the message, which is public.
    expect([spy.hmacs.size, alive(spy.hmacs).length]).toEqual([3, 1]);
    expect(bob.decrypt({ kind, message })).toEqual(numbered(1));
    // `decrypt` of the test's device wipes `spent` as a client does.
    const state = bob.record.current;
    const kept = new Set<Uint8Array>([state?.rootKey, state?.senderChain.chainKey, ...(state?.receiverChains.map((chain) => chain.chainKey) ?? [])].filter((key) => key !== undefined));
    expect(alive(spy.secrets).filter((bytes) => !kept.has(bytes))).toEqual([]);
  });
});
