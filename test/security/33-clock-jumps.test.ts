// Attack 33: a clock that jumps (or a server that sets it) expires keys and messages, so that what is under way is lost. Guards: nothing is
// deleted by the clock alone: signed prekeys never below the last 5 (src/client/preKeyStock.ts), pruning waits for a second day (`clockHolds` in
// src/client/clock.ts), the ratchet knows no time. Without them the messages below, sent before a jump of a year, do not open or are gone.
import { memoryStore, type MemoryMedium } from "miyu/store/memory";
import { expect, test } from "vitest";
import { seededRandom, testSeed } from "../support/random.ts";
import { inside, open, outcome, say, seal, settled, stateOf, World, type Person } from "./people.ts";

const random = seededRandom(testSeed("33 clock jumps"));
const DAY = 24 * 60 * 60 * 1000;
const YEAR = 365 * DAY;

/** Ends a person's client and opens it again, which runs all upkeep. */
async function restart(world: World, person: Person, medium: MemoryMedium): Promise<Person> {
  await person.client.close();
  return world.join(person.user, { medium, store: memoryStore({ medium }), policy: { archiveDays: 90, archiveMessages: 3 } });
}

test.each([
  ["a year ahead", YEAR],
  ["a year back", -YEAR],
  ["back to 1970", -1_760_000_000_000],
  ["a hundred years ahead", 100 * YEAR],
])("%s: messages under way open, sessions go on, nothing is forgotten", async (_, jump) => {
  const world = new World(random);
  const [alice, bob] = await world.friends();
  const carol = await world.join("carol");
  const steady = [await seal(alice, bob, "one"), await seal(alice, bob, "two")];
  const first = await seal(carol, bob, "first ever");
  await open(bob, alice, steady[1]?.body ?? "");
  const records = await inside(bob, async (vault) => [(await vault.list("session")).length, (await vault.list("archive")).length] as const);
  world.now += jump;
  const again = await restart(world, bob, bob.medium);
  expect(await inside(again, async (vault) => [(await vault.list("session")).length, (await vault.list("archive")).length])).toEqual(records);
  expect(await open(again, alice, steady[0]?.body ?? "")).toMatchObject({ kind: "message", text: "one" });
  expect(await open(again, carol, first.body)).toMatchObject({ kind: "message", text: "first ever" });
  // A replay from before the jump is a replay still.
  const before = await stateOf(again);
  expect(await open(again, carol, first.body)).toMatchObject({ kind: "message", text: "first ever" });
  expect(await stateOf(again)).toBe(before);
  // Both directions, under whatever clock each has.
  expect(await say(again, alice, "from the future")).toMatchObject({ kind: "message", text: "from the future" });
  world.now -= jump;
  expect(await say(alice, again, "from the present")).toMatchObject({ kind: "message", text: "from the present" });
  expect(await say(again, carol, "hello Carol")).toMatchObject({ kind: "message", text: "hello Carol" });
  expect((await again.client.history({ conversation: "carol" })).map((message) => message.text)).toEqual(["first ever", "hello Carol"]);
});

test("history outlives a jump, and the jump there and back; a year that really passes prunes", async () => {
  const world = new World(random);
  const [alice, bob] = await world.friends();
  for (let i = 0; i < 140; i++) await open(bob, alice, (await seal(alice, bob, String(i))).body);
  const kept = async (person: Person): Promise<number> => (await person.client.history({ conversation: "alice", limit: 1000 })).length;
  let now = await restart(world, bob, bob.medium);
  const all = await kept(now);
  expect(all).toBeGreaterThan(140);
  world.now += YEAR;
  now = await restart(world, now, now.medium);
  expect(await kept(now)).toBe(all);
  world.now -= YEAR;
  now = await restart(world, now, now.medium);
  expect(await kept(now)).toBe(all);
  world.now += YEAR;
  now = await restart(world, now, now.medium);
  expect(await kept(now)).toBe(all);
  // Control: the next day confirms the year, and what policy no longer keeps goes.
  world.now += DAY;
  now = await restart(world, now, now.medium);
  expect(await kept(now)).toBeLessThan(all);
});

test("a first message to a signed prekey of long ago opens, and its prekey goes with the sixth", async () => {
  const world = new World(random);
  const [alice, bob] = [await world.join("alice"), await world.join("bob")];
  const { body } = await seal(alice, bob, "slow post");
  let now = bob;
  // Four rotations in eighty days that really pass: past its 37 days, but of the last five.
  for (let i = 0; i < 4; i++) {
    world.now += 20 * DAY;
    now = await restart(world, now, now.medium);
    await settled(now);
  }
  const other = await seal(await world.join("carol"), bob, "control");
  expect(outcome(await open(now, alice, body))).toBe("message");
  expect(outcome(await open(now, "carol", other.body))).toBe("message");
  const kept = (): Promise<number> => inside(now, async (vault) => (await vault.list("signedPreKey")).length);
  expect(await kept()).toBe(5);
  for (let i = 0; i < 3; i++) {
    world.now += 20 * DAY;
    now = await restart(world, now, now.medium);
    await settled(now);
  }
  expect(await kept()).toBe(5);
});
