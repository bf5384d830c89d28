// Attack 30: one peer under two names, or two peers under one: sessions get mixed up or pushed out (Baileys 2763). Guards: user ids are compared
// byte for byte, nothing is normalised (src/client/sending.ts `checkUser`), and sessions are named by user and device (`sessionName` in
// src/client/naming.ts), because a device id is whatever its list says. Without the user in the name, the last test loses Alice's sessions.
import { expect, test } from "vitest";
import { fromBase64url } from "../../src/bytes.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { attack, inside, open, outcome, rejection, say, seal, World, type Person } from "./people.ts";
import { Villain } from "./villain.ts";

const random = seededRandom(testSeed("30 address confusion"));
const sessions = (person: Person): Promise<number> => inside(person, async (vault) => (await vault.list("session")).length);

test("spellings that look alike are different users, and none of them reaches another's session", async () => {
  const world = new World(random);
  const [alice, bob] = await world.friends("zo\u00eb");
  expect(await sessions(bob)).toBe(1);
  const { body } = await seal(alice, bob, "from Zoë");
  for (const name of ["zoe\u0308", "Zo\u00eb", "zo\u00eb ", " zo\u00eb", "zo\u00eb\u200b", "ZO\u00cb", "zo\u00eb.1"]) {
    expect(await rejection(bob.client.encrypt(name, "hello")), JSON.stringify(name)).toBe("ERR_NO_SESSION");
    expect(await attack(bob, name, body), JSON.stringify(name)).toBe("no-session, none");
  }
  expect(await sessions(bob)).toBe(1);
  expect(await open(bob, alice, body)).toMatchObject({ kind: "message", text: "from Zoë" });
  // Two people may well have such names: each has a session and a history of their own.
  const twin = await world.join("zoe\u0308");
  expect(await say(twin, bob, "I am the other one")).toMatchObject({ from: { user: "zoe\u0308", device: twin.client.device } });
  expect(await sessions(bob)).toBe(2);
  expect((await bob.client.history({ conversation: "zo\u00eb" })).map((message) => message.text)).not.toContain("I am the other one");
});

test("names UTF-8 would fold together are refused", async () => {
  const bob = await new World(random).join("bob");
  for (const name of ["\ud800", "a\udfff", "", "x".repeat(1025), "\u00e9".repeat(513)]) expect(await rejection(bob.client.encrypt(name, "hello")), JSON.stringify(name)).toBe("ERR_USAGE");
});

test("the same device under one name has one session, however often its list is read", async () => {
  const world = new World(random);
  const [alice, bob] = await world.friends();
  for (let i = 0; i < 3; i++) {
    world.now += 25 * 60 * 60 * 1000;
    await say(alice, bob, "again");
    await say(bob, alice, "and back");
  }
  expect([await sessions(alice), await sessions(bob)]).toEqual([1, 1]);
});

test("a device id two users claim: neither reaches, blocks or pushes out the other's sessions", async () => {
  const world = new World(random);
  const [alice, bob] = await world.friends();
  const mallory = new Villain(random, "mallory", [fromBase64url(alice.client.device)]);
  const directory = world.directory("mallory");
  await mallory.publish(directory);
  await bob.client.safetyNumber("mallory");
  const early = await seal(alice, bob, "sent before");
  for (let round = 0; round < 9; round++) {
    for (let i = 0; i < 5; i++) {
      await mallory.meet(directory, bob, { oneTime: false });
      expect(outcome(await open(bob, "mallory", mallory.envelope(bob)))).toBe("message");
      const senderDevice = fromBase64url(alice.client.device);
      expect(await attack(bob, "alice", mallory.envelope(bob, { senderDevice, content: { senderUser: "alice" } }))).toMatch(/^(identity-changed, verify|corrupt, none)$/u);
    }
    // Whoever answers Mallory opens the way for her next five.
    await seal(bob, "mallory", "stop it");
  }
  expect(await sessions(bob)).toBe(2);
  expect(await open(bob, alice, early.body)).toMatchObject({ kind: "message", text: "sent before" });
  expect(await say(bob, alice, "are you there?")).toMatchObject({ text: "are you there?" });
  expect(await say(alice, bob, "always")).toMatchObject({ text: "always", from: { user: "alice" } });
  expect(await say(bob, alice, "good")).toMatchObject({ text: "good" });
}, 120_000);
