// Attack 42: the peer's key changes between the look-up and the encryption (Bridgefy, Royal Holloway 2021). Guards: list, trust and session are read
// in the transaction that encrypts, and a fetched bundle counts only for the identity key the list names then (`bundleFor` in
// src/client/sealing.ts); `trust` pins only the key whose number was compared (src/client/trust.ts). Without them a message goes to the other key.
import { memoryStore } from "miyu/store/memory";
import { expect, test } from "vitest";
import { decodeEnvelope, findSlot } from "../../src/envelope/envelope.ts";
import { decryptPreKeySignalMessage, EMPTY_SESSION_RECORD } from "../../src/protocol/index.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { crypto, rejection, World, type Person } from "./people.ts";
import { Villain } from "./villain.ts";

const random = seededRandom(testSeed("42 key swap"));

/** Whether a villain's first device can read an envelope. */
function reads(villain: Villain, body: Uint8Array): boolean {
  const slot = findSlot(crypto, decodeEnvelope(body), villain.device.id);
  if (slot?.kind !== "preKey") return false;
  const { keyPair } = villain.signedPreKey(villain.device);
  const source = { signedPreKey: () => keyPair, oneTimePreKey: () => undefined, seenBaseKey: () => false };
  try {
    decryptPreKeySignalMessage(crypto, random.bytes, EMPTY_SESSION_RECORD, villain.device.local, source, slot.message);
    return true;
  } catch {
    return false;
  }
}

/** Alice, and a user whose record is what `serve` says; `during` runs while a one-time prekey is claimed. */
async function scene(): Promise<{ readonly alice: Person; serve(villain: Villain): void; during(work: () => Promise<void>): void; readonly world: World }> {
  const world = new World(random);
  let served: Villain | undefined;
  let between: (() => Promise<void>) | undefined;
  const directory = {
    ...world.directory("alice"),
    read: (user: string) => (user === "bob" && served ? Promise.resolve({ record: served.directoryRecord(), version: "x" }) : world.directory("alice").read(user)),
    claim: async () => {
      const work = between;
      between = undefined;
      await work?.();
      return undefined;
    },
  };
  const alice = await world.join("alice", { directory });
  return { alice, world, serve: (villain) => void (served = villain), during: (work) => void (between = work) };
}

/** Has the list of "bob" read again: a day later. */
async function readAgain(world: World, alice: Person): Promise<void> {
  world.now += 25 * 60 * 60 * 1000;
  await rejection(alice.client.encrypt("bob", "reads the list"));
}

test("another account key while keys are fetched: nothing is sealed, for either", async () => {
  const { alice, world, serve, during } = await scene();
  const [real, fake] = [new Villain(random, "bob"), new Villain(random, "bob")];
  serve(real);
  during(async () => {
    serve(fake);
    await readAgain(world, alice);
  });
  expect(await rejection(alice.client.encrypt("bob", "secret"))).toBe("ERR_IDENTITY_CHANGED");
  expect(alice.events.filter((event) => event.kind === "identity-changed")).toHaveLength(1);
  // Control: without the swap the message goes, and only to the pinned key.
  serve(real);
  await readAgain(world, alice);
  const { body } = await alice.client.encrypt("bob", "secret");
  expect([reads(fake, body), decodeEnvelope(body).slots.length]).toEqual([false, 1]);
});

test("a bundle fetched for one identity key is not used for another under the same device id", async () => {
  const { alice, world, serve, during } = await scene();
  const device = random.bytes(16);
  const [old, now] = [new Villain(random, "bob", [device]), new Villain(random, "bob", [device])];
  serve(old);
  during(async () => {
    // The user learns that the first key was a stranger's, compares the number of the new one, and trusts it.
    serve(now);
    await readAgain(world, alice);
    await alice.client.trust("bob", (await alice.client.safetyNumber("bob")).digits);
  });
  // The bundle at hand is the stranger's: the call gives up rather than use it, and the next one finds the right key.
  expect(await rejection(alice.client.encrypt("bob", "not for strangers"))).toBe("ERR_SIGNATURE");
  const { body } = await alice.client.encrypt("bob", "not for strangers");
  expect([reads(old, body), reads(now, body)]).toEqual([false, true]);
});

test("trust takes the key that was compared, not the one that came meanwhile", async () => {
  const world = new World(random);
  const keys = [new Villain(random, "bob"), new Villain(random, "bob"), new Villain(random, "bob")] as const;
  let served: Villain = keys[0];
  const directory = { ...world.directory("alice"), read: (user: string) => (user === "bob" ? Promise.resolve({ record: served.directoryRecord(), version: "x" }) : world.directory("alice").read(user)) };
  const raw = memoryStore();
  let left = -1;
  const store: typeof raw = {
    ...raw,
    keySlot: raw.keySlot,
    transact: async (names, fn) => {
      if (left-- === 0) await swap();
      return raw.transact(names, fn);
    },
  };
  const alice = await world.join("alice", { directory, store });
  async function swap(): Promise<void> {
    served = keys[2];
    await readAgain(world, alice);
  }
  await alice.client.safetyNumber("bob");
  served = keys[1];
  await readAgain(world, alice);
  const compared = await alice.client.safetyNumber("bob");
  expect(compared.trust).toBe("changed");
  // Between the comparison and the transaction that pins, the server swaps once more.
  left = 1;
  expect(await rejection(alice.client.trust("bob", compared.digits))).toBe("ERR_IDENTITY_CHANGED");
  const { trust, digits } = await alice.client.safetyNumber("bob");
  expect([trust, digits === compared.digits]).toEqual(["changed", false]);
  expect(await rejection(alice.client.encrypt("bob", "secret"))).toBe("ERR_IDENTITY_CHANGED");
  await alice.client.trust("bob", digits);
  expect(reads(keys[2], (await alice.client.encrypt("bob", "secret")).body)).toBe(true);
});
