// Attack 44: a message comes back to its sender as the other's, or is reordered or repeated as a new one (Threema, MTProto). Guards: the MAC
// covers sender, receiver and counter in that order (src/protocol/messages.ts), and an envelope of this very device is answered from the archive
// for the own user only (`openEcho` in src/client/opening.ts). Without them Alice's words appear as Bob's.
import { describe, expect, test } from "vitest";
import { concat, utf8 } from "../../src/bytes.ts";
import { decodeEnvelope, encodeEnvelope } from "../../src/envelope/envelope.ts";
import { messageKeys, messageSeed, runStep } from "../../src/protocol/doubleRatchet.ts";
import { encodeSignalMessage } from "../../src/protocol/messages.ts";
import { craft } from "../interop/craft.ts";
import { acquainted, codeOf, numbered } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { attack, crypto as fast, open, outcome, seal, World } from "./people.ts";
import { PROVIDERS } from "./providers.ts";
import { currentOf, onlySlot, Villain, withSlots } from "./villain.ts";

const random = seededRandom(testSeed("44 reflection"));

describe.each(PROVIDERS)("$crypto.name", ({ crypto }) => {
  test("a message is refused by its sender", () => {
    const [alice, bob] = acquainted(random, crypto);
    for (const [from, to] of [[alice, bob], [bob, alice]] as const) {
      const { kind, message } = from.encrypt(numbered(1));
      const before = from.snapshot();
      expect(codeOf(() => from.decrypt({ kind, message }))).toBe("ERR_DECRYPT");
      expect(from.snapshot()).toBe(before);
      expect(to.decrypt({ kind, message })).toEqual(numbered(1));
    }
  });

  test("direction is in the MAC: the same key, counter and text with the parties swapped does not open", () => {
    const [alice, bob] = acquainted(random, crypto);
    const { senderChain, localIdentityKey, remoteIdentityKey } = currentOf(alice);
    const make = (sender: Uint8Array, receiver: Uint8Array): Uint8Array =>
      runStep((secrets) => {
        const keys = messageKeys(crypto, secrets, messageSeed(crypto, senderChain.chainKey));
        const content = {
          version: 3,
          ratchetKey: senderChain.ratchetKeyPair.publicKey,
          counter: senderChain.index,
          previousCounter: 0,
          ciphertext: crypto.aesCbcEncrypt(keys.cipherKey, keys.iv, numbered(2)),
        };
        return encodeSignalMessage(crypto, content, keys.macKey, { sender, receiver });
      });
    const before = bob.snapshot();
    const stranger = random.bytes(33);
    for (const [sender, receiver] of [[remoteIdentityKey, localIdentityKey], [localIdentityKey, localIdentityKey], [stranger, remoteIdentityKey], [localIdentityKey, stranger]] as const) {
      expect(codeOf(() => bob.decrypt({ kind: "signal", message: make(sender, receiver) }))).toBe("ERR_DECRYPT");
    }
    expect(bob.snapshot()).toBe(before);
    expect(bob.decrypt({ kind: "signal", message: make(localIdentityKey, remoteIdentityKey) })).toEqual(numbered(2));
  });

  test("a message under another counter does not open, nor the same one twice", () => {
    const [alice, bob] = acquainted(random, crypto);
    const state = currentOf(alice);
    const messages = [0, 1, 2].map((i) => craft(crypto, state, { plaintext: numbered(i) }, state.senderChain.index + i).bytes);
    const mac = (bytes: Uint8Array): Uint8Array => bytes.subarray(-8);
    const [first, second, third] = messages;
    if (!first || !second || !third) throw new Error("no messages");
    expect(codeOf(() => bob.decrypt({ kind: "signal", message: concat(first.subarray(0, -8), mac(second)) }))).toBe("ERR_DECRYPT");
    // Field 2 is the counter: its value behind the 35 bytes of the ratchet key and its tag.
    const counterAt = 1 + 35 + 1;
    expect(first[counterAt]).toBe(state.senderChain.index);
    expect(codeOf(() => bob.decrypt({ kind: "signal", message: first.with(counterAt, state.senderChain.index + 1) }))).toBe("ERR_DECRYPT");
    // Any order is understood, and each once.
    for (const [i, message] of [[2, third], [0, first], [1, second]] as const) {
      expect(bob.decrypt({ kind: "signal", message })).toEqual(numbered(i));
      expect(codeOf(() => bob.decrypt({ kind: "signal", message }))).toBe("ERR_DUPLICATE");
    }
  });
});

describe("through clients", () => {
  test("an envelope sent back to its sender is nobody else's message", async () => {
    const [alice, bob] = await new World(random).friends();
    const { body, id } = await seal(alice, bob, "my own words");
    expect(await attack(alice, "bob", body)).toBe("corrupt, none");
    expect(await attack(alice, "mallory", body)).toBe("corrupt, none");
    expect(await attack(bob, "bob", body)).toBe("device-not-listed, none");
    // Control: as an echo under her own name it is what she sent, from the archive.
    expect(await open(alice, "alice", body)).toMatchObject({ kind: "message", own: true, id, text: "my own words" });
    expect(await attack(alice, "alice", body.with(body.length - 1, (body.at(-1) ?? 0) ^ 1))).toBe("corrupt, none");
    expect(await open(bob, alice, body)).toMatchObject({ kind: "message", own: false, text: "my own words" });
  });

  test("a slot sent back inside an envelope of the other side's", async () => {
    const [alice, bob] = await new World(random).friends();
    const hers = await seal(alice, bob, "from Alice");
    const his = await seal(bob, alice, "from Bob");
    const { message } = onlySlot(hers.body);
    expect(await attack(alice, "bob", withSlots(his.body, (slot) => ({ ...slot, message })))).toBe("corrupt, none");
    expect(await open(alice, "bob", his.body)).toMatchObject({ kind: "message", text: "from Bob" });
  });

  test("another body under the same key and header, by who knows the key", async () => {
    const world = new World(random);
    const bob = await world.join("bob");
    const mallory = new Villain(random);
    const directory = world.directory("mallory");
    await mallory.publish(directory);
    await mallory.meet(directory, bob);
    /** An honest envelope with its body opened by the key in its slot, changed and sealed again. */
    const rewritten = (change: (padded: Uint8Array) => Uint8Array): Uint8Array => {
      let contentKey = new Uint8Array();
      const honest = decodeEnvelope(mallory.envelope(bob, { slot: (plaintext) => ((contentKey = plaintext.slice(0, 32)), plaintext) }));
      const key = fast.hkdfSha256(contentKey, undefined, utf8("miyu/body/v1"), 32);
      const nonce = new Uint8Array(24);
      const padded = fast.aeadOpen(key, nonce, honest.header.bytes, honest.body);
      return encodeEnvelope({ ...honest, body: fast.aeadSeal(key, nonce, honest.header.bytes, change(padded)) });
    };
    expect(outcome(await open(bob, "mallory", rewritten((padded) => padded)))).toBe("message");
    const text = Buffer.from("evil");
    const swap = (padded: Uint8Array): Uint8Array => {
      const at = Buffer.from(padded).indexOf(text);
      expect(at).toBeGreaterThan(0);
      return padded.with(at, 0x45);
    };
    expect(await attack(bob, "mallory", rewritten(swap))).toBe("corrupt, none");
  });

  test("another body or id around a genuine slot", async () => {
    const [alice, bob] = await new World(random).friends();
    const [one, two] = [await seal(alice, bob, "one"), await seal(alice, bob, "two")];
    const { message } = onlySlot(one.body);
    expect(await attack(bob, "alice", withSlots(two.body, (slot) => ({ ...slot, message })))).toBe("corrupt, none");
    expect(await open(bob, alice, two.body)).toMatchObject({ text: "two" });
    // The id of a message that is known, with another body: not that message, and not a new one.
    const again = one.body.slice();
    again.set(two.body.subarray(2, 18), 2);
    expect(await attack(bob, "alice", again)).toBe("corrupt, none");
    expect(outcome(await open(bob, alice, one.body))).toBe("message");
  });
});
