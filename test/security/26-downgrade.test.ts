// Attack 26: a server strips the newer suite, so that two who have it speak the older one (libsignal's removal of X3DH, OpenE2EE "gated
// classical fallback"). The newer suite does not exist yet; its guard does: `requireClassic` in src/client/deviceLists.ts, on the suites a device's
// account has signed. Without it a device that lists version 4 is given, and opens, version 3.
import { expect, test } from "vitest";
import { SUITES } from "../../src/envelope/deviceList.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { attack, open, outcome, rejection, stateOf, World } from "./people.ts";
import { Villain } from "./villain.ts";

const random = seededRandom(testSeed("26 downgrade"));

test.each([
  ["both suites", SUITES.x3dh | SUITES.pqxdh],
  ["the newer suite only", SUITES.pqxdh],
  ["suites nobody knows", 0x80],
])("a device that lists %s gets and opens no version 3", async (_, suites) => {
  const world = new World(random);
  const bob = await world.join("bob");
  await world.join("carol");
  await bob.client.encrypt("carol", "so that the fence is granted");
  const newer = new Villain(random, "newer");
  const directory = world.directory("newer");
  await newer.publish(directory, newer.directoryRecord(newer.list([newer.entry(newer.device, suites)]).signed));
  await newer.meet(directory, bob);
  await bob.client.safetyNumber("newer");
  const before = await stateOf(bob);
  expect(await rejection(bob.client.encrypt("newer", "hello"))).toBe("ERR_DOWNGRADE");
  expect(await attack(bob, "newer", newer.envelope(bob))).toBe("version, none");
  expect(await stateOf(bob)).toBe(before);
  // Control: a device that lists version 3 and nothing newer.
  const older = new Villain(random, "older");
  await older.publish(world.directory("older"));
  await older.meet(world.directory("older"), bob);
  expect(outcome(await open(bob, "older", older.envelope(bob)))).toBe("message");
  expect((await bob.client.encrypt("older", "hello")).body.length).toBeGreaterThan(100);
});
