import { describe, expect, test } from "vitest";
import { decodeSessionRecordWhole, encodeSessionRecordWhole, type SessionRecord } from "../../src/protocol/index.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { acquainted, codeOf, Device, numbered, pair, type Received } from "./parties.ts";

const random = seededRandom(testSeed("compromise"));

/** Somebody with a copy of a device's record and of its keys, at one moment. */
function thief(victim: Device): (message: Received) => "opens" | "closed" {
  const stolen = encodeSessionRecordWhole(victim.record);
  const oneTime = new Map(victim.oneTime);
  return (message) => {
    const copy = new Device(random, 9);
    Object.assign(copy, { local: victim.local, signed: victim.signed });
    for (const [id, keyPair] of oneTime) copy.oneTime.set(id, keyPair);
    copy.record = decodeSessionRecordWhole(stolen);
    return codeOf(() => copy.decrypt(message)) === undefined ? "opens" : "closed";
  };
}

/** `count` messages from one to the other, all delivered. */
function talk(from: Device, to: Device, count: number): Received[] {
  return Array.from({ length: count }, (_, i) => {
    const message = from.encrypt(numbered(i));
    to.decrypt(message);
    return message;
  });
}

describe("a stolen state", () => {
  test("opens nothing that was received before, and nothing that was sent", () => {
    const [alice, bob] = acquainted(random);
    const received = [...talk(alice, bob, 5)];
    const sent = talk(bob, alice, 5);
    received.push(...talk(alice, bob, 5));
    const tryOpen = thief(bob);
    expect(received.map(tryOpen)).toEqual(received.map(() => "closed"));
    expect(sent.map(tryOpen)).toEqual(sent.map(() => "closed"));
  });

  test("opens what is still to come on its chains: late messages and those ahead", () => {
    const [alice, bob] = acquainted(random);
    const late = alice.encrypt(numbered(0));
    talk(alice, bob, 3);
    const tryOpen = thief(bob);
    expect([tryOpen(late), tryOpen(alice.encrypt(numbered(1)))]).toEqual(["opens", "opens"]);
    bob.decrypt(late);
    expect(thief(bob)(late)).toBe("closed");
  });

  test("heals: a turn of the victim and an answer to it shut the thief out, for good", () => {
    const [alice, bob] = acquainted(random);
    talk(alice, bob, 2);
    const tryOpen = thief(bob);
    // Bob's next key pair is drawn when Alice's next ratchet key arrives; she uses it from her answer on.
    const before = talk(alice, bob, 1);
    const turn = talk(bob, alice, 1);
    const answer = talk(alice, bob, 2);
    expect([...before, ...turn].map(tryOpen)).toEqual(["opens", "closed"]);
    // The answer is to a ratchet key the thief holds the private half of: he can still read this one turn.
    expect(answer.map(tryOpen)).toEqual(["opens", "opens"]);
    talk(bob, alice, 1);
    const healed = [...talk(alice, bob, 3)];
    for (let i = 0; i < 3; i++) {
      talk(bob, alice, 2);
      healed.push(...talk(alice, bob, 2));
    }
    expect(healed.map(tryOpen)).toEqual(healed.map(() => "closed"));
  });

  test("of the sender opens nothing of what it sends, and heals the same way", () => {
    const [alice, bob] = acquainted(random);
    const tryOpen = thief(alice);
    const own = talk(alice, bob, 3);
    expect(own.map(tryOpen)).toEqual(["closed", "closed", "closed"]);
    expect(talk(bob, alice, 2).map(tryOpen)).toEqual(["opens", "opens"]);
    talk(alice, bob, 1);
    expect(talk(bob, alice, 2).map(tryOpen)).toEqual(["closed", "closed"]);
  });

  test("with a first message already taken in opens it no more, though the signed prekey is there", () => {
    const [alice, bob] = pair(random);
    const first = alice.encrypt(numbered(0));
    expect(thief(bob)(first)).toBe("opens");
    bob.decrypt(first);
    expect(thief(bob)(first)).toBe("closed");
    const without = thief(bob);
    bob.record = { current: undefined, previous: [] } satisfies SessionRecord;
    // With the session given up, only the used one-time prekey stands between the thief and the first message.
    expect([without(first), thief(bob)(first)]).toEqual(["closed", "closed"]);
  });
});
