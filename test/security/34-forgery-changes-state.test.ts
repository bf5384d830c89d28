// Attack 34: a forged message advances the ratchet before it is authenticated, and the next honest one fails. Guards: the MAC is checked before
// any state is made (`decryptWith` in src/protocol/sessionState.ts), states are never written to, and a client runs all checks inside one
// transaction (src/client/opening.ts). Without them the store, or the record, differs after some flipped bit of the sweeps below.
import { describe, expect, test } from "vitest";
import { copy } from "../../src/bytes.ts";
import { decodeEnvelope } from "../../src/envelope/envelope.ts";
import { acquainted, codeOf, numbered, pair, type Device, type Received } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { contents, open, outcome, seal, settled, stateOf, World, type Person } from "./people.ts";
import { flip } from "./villain.ts";

const random = seededRandom(testSeed("34 forgery"));

describe("the protocol core", () => {
  const situations: [string, () => readonly [Device, Received]][] = [
    ["a first message", () => {
      const [alice, bob] = pair(random);
      return [bob, alice.encrypt(numbered(9))];
    }],
    ["a known ratchet key", () => {
      const [alice, bob] = acquainted(random);
      bob.decrypt(alice.encrypt(numbered(1)));
      return [bob, alice.encrypt(numbered(9))];
    }],
    ["a new ratchet key", () => {
      const [alice, bob] = acquainted(random);
      return [bob, alice.encrypt(numbered(9))];
    }],
    ["a passed-over message", () => {
      const [alice, bob] = acquainted(random);
      const late = alice.encrypt(numbered(9));
      bob.decrypt(alice.encrypt(numbered(1)));
      return [bob, late];
    }],
    ["an archived session", () => {
      const [alice, bob] = acquainted(random);
      const late = alice.encrypt(numbered(9));
      bob.initiate(alice);
      return [bob, late];
    }],
  ];

  test.each(situations)("%s: every bit of every byte", (_, make) => {
    const [bob, { kind, message }] = make();
    const before = [bob.snapshot(), bob.oneTime.size, bob.seen.size];
    const passed = new Set<number>();
    for (let bit = 0; bit < message.length * 8; bit++) {
      const { record } = bob;
      const oneTime = new Map(bob.oneTime);
      const code = codeOf(() => {
        try {
          bob.decrypt({ kind, message: flip(message, bit >>> 3, bit & 7) }, { maxSteps: 300 });
        } catch (error) {
          if (!(error instanceof Error) || error.name !== "ChainGapError") throw error;
        }
      });
      if (code === undefined && bob.record !== record) {
        // Nobody authenticates the registration id and the low version nibble of a first message: it opens as it was meant.
        passed.add(bit >>> 3);
        bob.record = record;
        bob.seen.clear();
        for (const [id, keyPair] of oneTime) bob.oneTime.set(id, keyPair);
      } else if (code !== undefined) expect(code).toMatch(/^ERR_(DECRYPT|DECODE|VERSION|NO_PREKEY|DUPLICATE)$/u);
      expect([bob.snapshot(), bob.oneTime.size, bob.seen.size]).toEqual(before);
    }
    if (kind === "signal") expect([...passed]).toEqual([]);
    else expect(passed.size).toBeLessThanOrEqual(4);
    expect(bob.decrypt({ kind, message })).toEqual(numbered(9));
  }, 120_000);
});

describe("through a client: every byte of every envelope", () => {
  /** Every byte of `body`, one bit each; the places where the message opened all the same. The store is put back after those. */
  async function sweep(victim: Person, from: Person, body: Uint8Array): Promise<number[]> {
    await settled(victim);
    const peers = (): Promise<string> => stateOf(victim);
    const [raw, state] = [contents(victim), await peers()];
    const kept = new Map([...victim.medium.records].map(([key, value]) => [key, copy(value)]));
    const passed: number[] = [];
    for (let at = 0; at < body.length; at++) {
      const opened = await open(victim, from, flip(body, at, random.int(8)));
      if (opened.kind === "message") {
        passed.push(at);
        await settled(victim);
        victim.medium.records.clear();
        for (const [key, value] of kept) victim.medium.records.set(key, copy(value));
      } else if (contents(victim) !== raw) expect(await peers(), `byte ${String(at)}: ${outcome(opened)}`).toBe(state);
    }
    return passed;
  }

  test("of a running session", async () => {
    const [alice, bob] = await new World(random).friends();
    const { body } = await seal(alice, bob, "steady");
    expect(await sweep(bob, alice, body)).toEqual([]);
    expect(await open(bob, alice, body)).toMatchObject({ text: "steady" });
  });

  test("of a first message", async () => {
    const world = new World(random);
    const [alice, bob] = [await world.join("alice"), await world.join("bob")];
    await bob.client.safetyNumber("alice");
    const { body } = await seal(alice, bob, "first");
    const passed = await sweep(bob, alice, body);
    // Inside the slot only: version byte and registration id.
    const { slots } = decodeEnvelope(body);
    const slotEnd = 68 + 11 + (slots[0]?.message.length ?? 0);
    expect(passed.every((at) => at >= 79 && at < slotEnd)).toBe(true);
    expect(passed.length).toBeLessThanOrEqual(4);
    expect(await open(bob, alice, body)).toMatchObject({ text: "first" });
  });
});
