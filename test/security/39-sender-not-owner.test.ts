// Attack 39: the sender of an event is not the owner of the session (CVE-2025-48937, CVE-2026-45056): a server relabels a message, or a
// peer writes somebody else's name into it. Guards: `senderOf` (session's identity key = the entry on the list of the user the
// transport names) and `openContent` (user and device inside = outside) in src/client/opening.ts. Without them the message opens as theirs.
import { describe, expect, test } from "vitest";
import { copy, fromBase64url } from "../../src/bytes.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { attack, open, outcome, rejection, say, seal, World } from "./people.ts";
import { onlySlot, Villain, withSlots } from "./villain.ts";

const random = seededRandom(testSeed("39 sender not owner"));

describe("transport sender is not cryptographic sender", () => {
  test("a server that names another user", async () => {
    const world = new World(random);
    const [alice, bob] = await world.friends();
    const carol = await world.join("carol");
    await say(carol, bob, "I am Carol");
    const { body } = await seal(alice, bob, "from Alice");
    expect(await attack(bob, "carol", body)).toBe("device-not-listed, none");
    expect(await attack(bob, "bob", body)).toBe("device-not-listed, none");
    expect(await open(bob, "alice", body)).toMatchObject({ kind: "message", text: "from Alice", from: { user: "alice" } });
    // Opened or not: under another name it stays refused.
    expect(await attack(bob, "carol", body)).toBe("corrupt, none");
  });

  test("a peer that writes another user's name, device or conversation into the content", async () => {
    const world = new World(random);
    const [alice, bob] = await world.friends();
    const mallory = new Villain(random);
    const directory = world.directory("mallory");
    await mallory.publish(directory);
    await mallory.meet(directory, bob);
    expect(await open(bob, "mallory", mallory.envelope(bob))).toMatchObject({ kind: "message", text: "evil", from: { user: "mallory" } });
    for (const content of [
      { senderUser: "alice" },
      { senderUser: "bob" },
      { senderDevice: fromBase64url(alice.client.device) },
      { senderUser: "alice", senderDevice: fromBase64url(alice.client.device) },
      { conversation: { kind: "direct", peer: "alice" } },
      { conversation: { kind: "direct", peer: "mallory" } },
      { conversation: { kind: "group", group: "bob" } },
    ] as const) {
      expect(await attack(bob, "mallory", mallory.envelope(bob, { content })), JSON.stringify(content)).toBe("corrupt, none");
    }
    expect(await open(bob, "mallory", mallory.envelope(bob))).toMatchObject({ kind: "message", text: "evil" });
  });

  test("a peer that names another user's device in the header", async () => {
    const world = new World(random);
    const [alice, bob] = await world.friends();
    const mallory = new Villain(random);
    const directory = world.directory("mallory");
    await mallory.publish(directory);
    await mallory.meet(directory, bob);
    const senderDevice = fromBase64url(alice.client.device);
    const first = mallory.envelope(bob, { senderDevice, content: { senderUser: "alice", senderDevice } });
    expect(await attack(bob, "alice", first)).toBe("identity-changed, verify");
    // In a session that is confirmed no identity key travels: the one the session was made with counts.
    await open(bob, "mallory", mallory.envelope(bob));
    mallory.read((await seal(bob, "mallory", "hello Mallory")).body);
    const later = mallory.envelope(bob, { senderDevice, content: { senderUser: "alice", senderDevice } });
    expect(await attack(bob, "alice", later)).toBe("corrupt, none");
    expect(await open(bob, "mallory", mallory.envelope(bob))).toMatchObject({ kind: "message", from: { user: "mallory" } });
  });

  test("the session of a key that is on no list any more", async () => {
    const world = new World(random);
    const bob = await world.join("bob");
    const id = random.bytes(16);
    const [old, now] = [new Villain(random, "mallory", [id]), new Villain(random, "mallory", [id])];
    const directory = world.directory("mallory");
    await old.publish(directory);
    await old.meet(directory, bob);
    expect(outcome(await open(bob, "mallory", old.envelope(bob)))).toBe("message");
    old.read((await seal(bob, "mallory", "hello")).body);
    expect(outcome(await open(bob, "mallory", old.envelope(bob)))).toBe("message");
    // The account changes hands: the same device id under another key, and the user accepts that.
    await now.publish(directory);
    world.now += 25 * 60 * 60 * 1000;
    expect(await rejection(seal(bob, "mallory", "who are you?"))).toBe("ERR_IDENTITY_CHANGED");
    await bob.client.trust("mallory", (await bob.client.safetyNumber("mallory")).digits);
    expect(await attack(bob, "mallory", old.envelope(bob))).toBe("corrupt, none");
    await now.meet(directory, bob);
    expect(await open(bob, "mallory", now.envelope(bob))).toMatchObject({ kind: "message", trust: "verified" });
  });

  test("another sender's session: a slot moved from one person's envelope into another's", async () => {
    const world = new World(random);
    const [alice, bob] = await world.friends();
    const carol = await world.join("carol");
    await say(carol, bob, "hello");
    await say(bob, carol, "hello");
    const [hers, ours] = [await seal(carol, bob, "from Carol"), await seal(alice, bob, "from Alice")];
    const moved = copy(onlySlot(hers.body).message);
    expect(await attack(bob, "alice", withSlots(ours.body, (slot) => ({ ...slot, message: moved })))).toBe("corrupt, none");
    expect(await open(bob, "carol", hers.body)).toMatchObject({ kind: "message", text: "from Carol" });
    expect(await open(bob, "alice", ours.body)).toMatchObject({ kind: "message", text: "from Alice" });
  });
});
