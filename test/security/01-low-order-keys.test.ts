// Attack 1: low-order X25519 keys make agreements of zeros, so a session is predictable (vodozemac 0.10.0, libomemo.js 2.0.1).
// Guards: the all-zero check of every provider (src/crypto/provider.ts `x25519`) and `checkBaseKey` in src/protocol/x3dh.ts. Each attack
// here knows all its secrets and opens on a provider without the guard (the control), so it opens in the library when the guard goes.
import { describe, expect, test } from "vitest";
import { encodeStockedPreKey } from "../../src/envelope/bundle.ts";
import { initiateSession, serializePublicKey, verifyPreKeyBundle, type PreKeyBundle } from "../../src/protocol/index.ts";
import { codeOf, Device, NOW, numbered } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { LOW_ORDER, marking, PROVIDERS, unchecked, withPublicKey } from "./providers.ts";
import { crypto as fast, rejection, stateOf, World } from "./people.ts";
import { Villain } from "./villain.ts";

const random = seededRandom(testSeed("01 low-order keys"));

test("the list has every spelling", () => {
  expect(LOW_ORDER.length).toBeGreaterThanOrEqual(12);
});

describe.each(PROVIDERS)("$crypto.name", ({ crypto }) => {
  test.each(LOW_ORDER.map((u) => [Buffer.from(u).toString("hex"), u] as const))("in a bundle: %s", (_, u) => {
    const bob = new Device(random, 2, crypto);
    const alice = new Device(random, 1, crypto);
    const low = serializePublicKey(u);
    const honest = bob.bundle();
    const signature = crypto.xeddsaSign(bob.local.identityKeyPair.privateKey, low, random.bytes(64));
    const bundles: Record<string, PreKeyBundle> = {
      identityKey: { ...honest, identityKey: low },
      signedPreKey: { ...honest, signedPreKey: { id: 11, publicKey: low, signature } },
      oneTimePreKey: { ...honest, oneTimePreKey: { id: 1, publicKey: low } },
    };
    for (const [slot, bundle] of Object.entries(bundles)) {
      // A low-order identity cannot sign: shown apart, so that the agreement itself is reached.
      if (slot === "identityKey") expect(codeOf(() => verifyPreKeyBundle(crypto, bundle))).toBe("ERR_SIGNATURE");
      const verified = verifyPreKeyBundle({ ...crypto, xeddsaVerify: () => undefined }, bundle);
      const before = alice.snapshot();
      expect(codeOf(() => initiateSession(crypto, random.bytes, alice.record, alice.local, verified, NOW)), slot).toBe("ERR_DECODE");
      expect(alice.snapshot()).toBe(before);
      expect(codeOf(() => initiateSession(unchecked(crypto), random.bytes, alice.record, alice.local, verified, NOW)), slot).toBeUndefined();
    }
    expect(codeOf(() => initiateSession(crypto, random.bytes, alice.record, alice.local, verifyPreKeyBundle(crypto, honest), NOW))).toBeUndefined();
  });

  // Which 32-byte draw of the attacker's has no private key behind it: his identity (made first), base key or first ratchet key.
  test.each(LOW_ORDER.map((u) => [Buffer.from(u).toString("hex"), u] as const))("in messages: %s", (_, u) => {
    const evil = withPublicKey(crypto, u);
    for (const slot of ["identity key", "base key", "ratchet key of a first message", "ratchet key of a later message"]) {
      const draws = marking(random);
      if (slot === "identity key") draws.mark(0);
      const mallory = new Device(draws, 1, { ...evil, xeddsaSign: () => new Uint8Array(64) });
      const [bob, lax] = [new Device(random, 2, crypto), new Device(random, 2, unchecked(crypto))];
      for (const victim of [bob, lax]) {
        mallory.record = { current: undefined, previous: [] };
        if (slot === "base key") draws.mark(0);
        if (slot === "ratchet key of a first message") draws.mark(1);
        mallory.initiate(victim, false);
        if (slot === "ratchet key of a later message") {
          victim.decrypt(mallory.encrypt(numbered(1)));
          const answer = victim.encrypt(numbered(2));
          draws.mark(0);
          mallory.decrypt(answer);
        }
        const message = mallory.encrypt(numbered(3));
        if (victim === lax) {
          expect(victim.decrypt(message), slot).toEqual(numbered(3));
          continue;
        }
        const before = victim.snapshot();
        expect(codeOf(() => victim.decrypt(message)), slot).toBe("ERR_DECRYPT");
        expect([victim.snapshot(), victim.seen.size <= 1], slot).toEqual([before, true]);
      }
    }
  });
});

test("a client refuses a peer whose published or claimed prekey has low order, and stores nothing", async () => {
  const world = new World(random);
  const mallory = new Villain(random);
  const low = serializePublicKey(LOW_ORDER[0] ?? new Uint8Array(32));
  const directory = world.directory("mallory");
  let stocked: Uint8Array | undefined;
  const alice = await world.join("alice", { directory: { ...world.directory("alice"), claim: () => Promise.resolve(stocked) } });
  await world.join("bob");
  await alice.client.encrypt("bob", "so that the fence is granted");
  await mallory.publish(directory);
  await alice.client.safetyNumber("mallory");
  const before = await stateOf(alice);
  stocked = encodeStockedPreKey({ id: 5, publicKey: low });
  expect(await rejection(alice.client.encrypt("mallory", "secret"))).toBe("ERR_DECODE");
  expect(await stateOf(alice)).toBe(before);
  stocked = undefined;
  const good = mallory.directoryRecord();
  const { privateKey } = mallory.device.local.identityKeyPair;
  const signature = fast.xeddsaSign(privateKey, low, random.bytes(64));
  Object.assign(mallory.signedPreKey(mallory.device), { keyPair: { publicKey: low, privateKey }, signature });
  await mallory.publish(directory);
  expect(await rejection(alice.client.encrypt("mallory", "secret"))).toBe("ERR_DECODE");
  expect(await stateOf(alice)).toBe(before);
  await mallory.publish(directory, good);
  expect((await alice.client.encrypt("mallory", "control")).body.length).toBeGreaterThan(100);
});
