// Attack 23: a replayed first message makes a second session (X3DH §4.2), above all where no one-time prekey was used. Guards: the base key
// is remembered beside the signed prekey (`establish` in src/protocol/session.ts, `openSlot` in src/client/opening.ts), the archive
// knows the message, the session its counters. Without the first, the replay opens again as soon as the session is gone.
import { describe, expect, test } from "vitest";
import type { RecordKind } from "../../src/store/types.ts";
import { codeOf, numbered, pair } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { attack, inside, open, outcome, seal, settled, stateOf, World, type Person } from "./people.ts";

const random = seededRandom(testSeed("23 first message replay"));

/** Removes all records of some kinds, as a lost or cleaned store would. */
async function lose(person: Person, ...kinds: RecordKind[]): Promise<void> {
  await inside(person, async (vault) => {
    for (const kind of kinds) {
      for (const { id } of await vault.list(kind)) await vault.transact([{ kind, id }], (view) => view.remove({ kind, id }));
    }
  });
  await settled(person);
}

describe.each([true, false])("with a one-time prekey: %s", (oneTime) => {
  test("through a client: again, after the session is gone, after the archive is gone too", async () => {
    const world = new World(random);
    const withoutClaims = { ...world.directory("alice"), claim: () => Promise.resolve(undefined) };
    const alice = await world.join("alice", oneTime ? {} : { directory: withoutClaims });
    const bob = await world.join("bob");
    const { body } = await seal(alice, bob, "first");
    const first = await open(bob, alice, body);
    expect(first).toMatchObject({ kind: "message", text: "first" });
    await settled(bob);
    // The same bytes give the same result, from the archive: nothing is opened twice.
    const before = await stateOf(bob);
    expect(await open(bob, alice, body)).toEqual(first);
    expect(await stateOf(bob)).toBe(before);
    await lose(bob, "session", "archivedSession", "skippedKeys");
    expect(await open(bob, alice, body)).toEqual(first);
    const again = await seal(alice, bob, "second");
    expect(await attack(bob, alice, again.body)).toBe("too-old, none");
    await lose(bob, "archive", "historyPage", "conversation");
    expect(await attack(bob, alice, body)).toBe("too-old, none");
    expect(await inside(bob, (vault) => vault.list("session"))).toEqual([]);
    // Control: what stops it is the memory of base keys (or the used-up key).
    await lose(bob, "baseKeys");
    expect(outcome(await open(bob, alice, body))).toBe(oneTime ? "prekey-gone, none" : "message");
  });

  test("in the protocol core", () => {
    const [alice, bob] = pair(random, oneTime);
    const first = alice.encrypt(numbered(1));
    const second = alice.encrypt(numbered(2));
    expect(bob.decrypt(first)).toEqual(numbered(1));
    expect(codeOf(() => bob.decrypt(first))).toBe("ERR_DUPLICATE");
    expect(bob.decrypt(second)).toEqual(numbered(2));
    bob.record = { current: undefined, previous: [] };
    const before = bob.snapshot();
    for (const message of [first, second]) expect(codeOf(() => bob.decrypt(message))).toBe("ERR_DUPLICATE");
    expect(bob.snapshot()).toBe(before);
    bob.seen.clear();
    expect(codeOf(() => bob.decrypt(first))).toBe(oneTime ? "ERR_NO_PREKEY" : undefined);
  });
});
