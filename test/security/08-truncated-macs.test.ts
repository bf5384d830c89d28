// Attack 8: a comparison as long as the attacker's tag: an empty or one-byte MAC passes (openmls GHSA-8x3w-qj7j-gqhf). Guards: the
// message's MAC is always its last 8 bytes (src/protocol/messages.ts) and `equal` of src/bytes.ts never compares a prefix; AEAD tags have
// 16 bytes or nothing opens. Without them a short tag of right bytes, or every 256th of one wrong byte, is taken.
import { describe, expect, test } from "vitest";
import { concat, equal, type Bytes } from "../../src/bytes.ts";
import { acquainted, codeOf, numbered } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { attack, open, outcome, seal, World } from "./people.ts";
import { PROVIDERS } from "./providers.ts";
import { flip, withSlots } from "./villain.ts";

const random = seededRandom(testSeed("08 truncated macs"));

describe.each(PROVIDERS)("$crypto.name", ({ crypto }) => {
  test("message tags of 0 to 7 and 9 to 32 bytes, right and wrong ones", () => {
    const [alice, bob] = acquainted(random, crypto);
    const { kind, message } = alice.encrypt(numbered(5));
    const before = bob.snapshot();
    const refused = (forged: Uint8Array): void => {
      expect(codeOf(() => bob.decrypt({ kind, message: forged }))).toMatch(/^ERR_(DECRYPT|DECODE)$/);
      expect(bob.snapshot()).toBe(before);
    };
    const body = message.subarray(0, -8);
    const tag = message.subarray(-8);
    for (let length = 0; length < 8; length++) refused(concat(body, tag.subarray(0, length)));
    for (let length = 9; length <= 32; length++) refused(concat(body, tag, random.bytes(length - 8)));
    refused(concat(body, new Uint8Array(8)));
    for (let at = 0; at < 8; at++) for (let bit = 0; bit < 8; bit++) refused(concat(body, flip(tag, at, bit)));
    // One wrong byte at a time, all 255: nobody finds the tag byte by byte.
    for (let add = 1; add < 256; add++) refused(concat(body, tag.with(0, ((tag[0] ?? 0) + add) & 255)));
    expect(bob.decrypt({ kind, message })).toEqual(numbered(5));
  });

  test("equality never looks at a prefix", () => {
    const tag = random.bytes(8);
    for (const compare of [equal, crypto.equal]) {
      for (const other of [new Uint8Array(), tag.subarray(0, 1), tag.subarray(0, 7), concat(tag, Uint8Array.of(0))]) {
        expect([compare(tag, other), compare(other, tag)]).toEqual([false, false]);
      }
      expect(compare(tag, new Uint8Array(tag))).toBe(true);
    }
  });

  test("sealed bodies with tags of 0 to 15 and 17 bytes", () => {
    const [key, nonce, aad, text] = [random.bytes(32), random.bytes(24), random.bytes(5), random.bytes(40)];
    const sealed: Bytes = crypto.aeadSeal(key, nonce, aad, text);
    for (let length = 0; length < sealed.length; length++) expect(codeOf(() => crypto.aeadOpen(key, nonce, aad, sealed.subarray(0, length)))).toBe("ERR_DECRYPT");
    expect(codeOf(() => crypto.aeadOpen(key, nonce, aad, concat(sealed, new Uint8Array(1))))).toBe("ERR_DECRYPT");
    expect(crypto.aeadOpen(key, nonce, aad, sealed)).toEqual(text);
  });
});

test("through a client: a slot's message with its tag cut or lengthened", async () => {
  const [alice, bob] = await new World(random).friends();
  const { body } = await seal(alice, bob, "hi");
  for (const change of [-8, -7, -1, 1]) {
    const forged = withSlots(body, (slot) => ({ ...slot, message: change < 0 ? slot.message.slice(0, change) : concat(slot.message, new Uint8Array(change)) }));
    expect(await attack(bob, alice, forged)).toBe("corrupt, none");
  }
  expect(outcome(await open(bob, alice, body))).toBe("message");
});
