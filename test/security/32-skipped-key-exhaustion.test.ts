// Attack 32: an attacker makes keys of passed-over messages pile up until honest ones are thrown out (OpenE2EE DEVIATIONS 3.3). Guard:
// the limit of 2,000 is per chain (`addSkippedKeys` in src/protocol/skippedKeys.ts) and the lowest counters of that chain go first; another
// chain, session or peer has a limit of its own. With one limit for all, the messages of chain A below do not open.
import { expect, test } from "vitest";
import { countSkippedKeys } from "../../src/protocol/skippedKeys.ts";
import { codeOf, acquainted, numbered } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { craft } from "../interop/craft.ts";
import { crypto, open, outcome, seal, World } from "./people.ts";
import { currentOf, Villain } from "./villain.ts";

const random = seededRandom(testSeed("32 skipped keys"));

test("a full chain B leaves the keys of chain A alone", () => {
  const [alice, bob] = acquainted(random);
  const held = Array.from({ length: 20 }, (_, i) => alice.encrypt(numbered(i)));
  bob.decrypt(alice.encrypt(numbered(20)));
  alice.decrypt(bob.encrypt(numbered(0)));
  // Chain B: three times the limit, in leaps.
  const chainB = currentOf(alice);
  for (const counter of [2_500, 5_000, 7_500]) bob.decrypt({ kind: "signal", message: craft(crypto, chainB, { plaintext: numbered(1) }, counter).bytes });
  const counts = currentOf(bob).receiverChains.map(({ skipped }) => countSkippedKeys(skipped));
  expect(counts.slice(-2)).toEqual([20, 2_000]);
  // B itself lost its lowest counters, and keeps the others.
  expect(codeOf(() => bob.decrypt({ kind: "signal", message: craft(crypto, chainB, {}, 5_499).bytes }))).toBe("ERR_DUPLICATE");
  expect(bob.decrypt({ kind: "signal", message: craft(crypto, chainB, { plaintext: numbered(9) }, 5_500).bytes })).toEqual(numbered(9));
  for (const [i, message] of held.entries()) expect(bob.decrypt(message)).toEqual(numbered(i));
});

test("through clients: what Mallory makes Bob keep costs Alice nothing", async () => {
  const world = new World(random);
  const [alice, bob] = await world.friends();
  const late = [await seal(alice, bob, "late one"), await seal(alice, bob, "late two")];
  await open(bob, alice, (await seal(alice, bob, "on time")).body);
  const mallory = new Villain(random);
  const directory = world.directory("mallory");
  await mallory.publish(directory);
  await mallory.meet(directory, bob);
  expect(outcome(await open(bob, "mallory", mallory.envelope(bob)))).toBe("message");
  for (let leap = 0; leap < 3; leap++) {
    for (let i = 0; i < 1_500; i++) mallory.skip();
    expect(outcome(await open(bob, "mallory", mallory.envelope(bob)))).toBe("message");
  }
  for (const [i, { body }] of late.entries()) expect(await open(bob, alice, body)).toMatchObject({ kind: "message", text: ["late one", "late two"][i] });
}, 120_000);
