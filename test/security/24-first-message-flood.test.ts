// Attack 24: a flood of first messages fills the store with sessions. Guard: `countUnanswered` in src/client/unanswered.ts: at most 5 sessions of
// one device and 500 of all that nobody here has answered; the sixth is refused, the 501st costs the oldest. Without it both go on growing.
import { expect, test } from "vitest";
import { seededRandom, testSeed } from "../support/random.ts";
import { attack, inside, open, outcome, say, seal, settled, World, type Person } from "./people.ts";
import { Villain } from "./villain.ts";

const random = seededRandom(testSeed("24 first message flood"));
const sessionRecords = (person: Person): Promise<number> => inside(person, async (vault) => (await vault.list("session")).length);
const archived = (person: Person): Promise<number> => inside(person, async (vault) => (await vault.list("archivedSession")).length);

test("five unanswered sessions of one device, then no more until somebody answers", async () => {
  const world = new World(random);
  const [alice, bob] = await world.friends();
  const mallory = new Villain(random);
  const directory = world.directory("mallory");
  await mallory.publish(directory);
  for (let i = 0; i < 5; i++) {
    await mallory.meet(directory, bob, { oneTime: false });
    expect(outcome(await open(bob, "mallory", mallory.envelope(bob)))).toBe("message");
  }
  await settled(bob);
  const before = await archived(bob);
  for (let i = 0; i < 5; i++) {
    await mallory.meet(directory, bob, { oneTime: i === 0 });
    expect(await attack(bob, "mallory", mallory.envelope(bob))).toBe("corrupt, none");
  }
  expect(await archived(bob)).toBe(before);
  // Nobody else is held back, and an answer opens the way again.
  expect(await say(alice, bob, "still here")).toMatchObject({ text: "still here" });
  expect(await say(await world.join("carol"), bob, "hello")).toMatchObject({ text: "hello" });
  await seal(bob, "mallory", "what do you want?");
  await mallory.meet(directory, bob, { oneTime: false });
  expect(outcome(await open(bob, "mallory", mallory.envelope(bob)))).toBe("message");
});

test("500 unanswered sessions in all: the 501st costs the oldest, and no session that was answered", async () => {
  const world = new World(random);
  const [alice, bob] = await world.friends();
  const calm = await sessionRecords(bob);
  const crowds = Array.from({ length: 3 }, (_, i) => new Villain(random, `crowd ${String(i)}`, Array.from({ length: 168 }, () => random.bytes(16))));
  let opened = 0;
  for (const crowd of crowds) {
    const directory = world.directory(crowd.user);
    await crowd.publish(directory, crowd.directoryRecord(crowd.ownList.signed, crowd.devices.slice(0, 1).map((device) => crowd.bundle(device))));
    for (const device of crowd.devices) {
      const record = await crowd.meet(directory, bob, { device, oneTime: false });
      if ((await open(bob, crowd.user, crowd.envelope(bob, {}, { device, record }))).kind === "message") opened++;
    }
  }
  expect(opened).toBe(504);
  await settled(bob);
  expect(await sessionRecords(bob)).toBe(calm + 500);
  expect(await say(alice, bob, "still here")).toMatchObject({ text: "still here" });
  expect(await say(bob, alice, "so am I")).toMatchObject({ text: "so am I" });
}, 120_000);
