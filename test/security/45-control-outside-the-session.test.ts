// Attack 45: edits, receipts and other instructions that nobody authenticated are obeyed (CVE-2026-45057). Guards: content and its control byte
// travel inside the session only (src/envelope/content.ts), and the two frames outside it (a request for keys and its reply) decide nothing:
// a reply counts only if it was asked for, from that user, and its record is signed (`onReply` in src/client/inBand.ts). Without them it is stored.
import { createClient } from "miyu";
import { memoryMedium, memoryStore } from "miyu/store/memory";
import { describe, expect, onTestFinished, test } from "vitest";
import { concat, type Bytes } from "../../src/bytes.ts";
import { decodeFrame, encodeBundleReply, encodeBundleRequest } from "../../src/envelope/control.ts";
import { fromText, toText } from "../../src/envelope/text.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { attack, crypto, open, rejection, say, seal, settled, stateOf, World, type Person } from "./people.ts";
import { flip, Villain } from "./villain.ts";

const random = seededRandom(testSeed("45 control outside"));

/** Somebody without a directory: keys are asked for in the conversation. */
async function loner(world: World, user: string): Promise<Person & { readonly posted: { readonly to: string; readonly frame: Bytes }[] }> {
  const medium = memoryMedium();
  const posted: { to: string; frame: Bytes }[] = [];
  const post = (to: string, text: string): void => void posted.push({ to, frame: fromText(text) });
  const client = await createClient({ user, post, store: memoryStore({ medium }), crypto, random: random.bytes, now: () => world.now });
  onTestFinished(() => client.close());
  const person = { user, client, medium, events: [], posted };
  await settled(person);
  return person;
}

describe("frames outside the session", () => {
  test("a reply nobody asked for, from anybody, changes nothing", async () => {
    const [alice, bob] = await new World(random).friends();
    const fake = new Villain(random, "alice");
    const stranger = new Villain(random, "stranger");
    for (const [from, record] of [["alice", fake.directoryRecord()], ["stranger", stranger.directoryRecord()], ["bob", stranger.directoryRecord()], ["alice", random.bytes(300)]] as const) {
      expect(await attack(bob, from, encodeBundleReply(random.bytes(16), record))).toBe("control");
      expect(await attack(bob, from, toText(encodeBundleReply(random.bytes(16), record)))).toBe("control");
    }
    for (let i = 0; i < 20; i++) expect(await attack(bob, "alice", encodeBundleRequest(random.bytes(16)))).toBe("control");
    expect(await say(alice, bob, "still the same key")).toMatchObject({ kind: "message", trust: "first-use" });
  });

  test("an answer counts from the one who was asked, to this question, under a signature, once", async () => {
    const world = new World(random);
    const alice = await loner(world, "alice");
    const [bob, mallory] = [new Villain(random, "bob"), new Villain(random, "mallory")];
    const sealing = alice.client.encrypt("bob", "secret");
    await settled(alice);
    const [asked] = alice.posted;
    const question = decodeFrame(asked?.frame ?? new Uint8Array());
    if (question.kind !== "bundle-request" || asked?.to !== "bob") throw new Error("nobody was asked");
    const { nonce } = question;
    const before = await stateOf(alice);
    // From another user, to another question.
    expect(await attack(alice, "mallory", encodeBundleReply(nonce, mallory.directoryRecord()))).toBe("control");
    expect(await attack(alice, "mallory", encodeBundleReply(nonce, bob.directoryRecord()))).toBe("control");
    expect(await attack(alice, "bob", encodeBundleReply(flip(nonce, 0), bob.directoryRecord()))).toBe("control");
    expect(await stateOf(alice)).toBe(before);
    await open(alice, "bob", encodeBundleReply(nonce, bob.directoryRecord()));
    expect((await sealing).body.length).toBeGreaterThan(100);
    await settled(alice);
    // The same answer again, or another one to the old question.
    const other = new Villain(random, "bob");
    for (const record of [bob.directoryRecord(), other.directoryRecord()]) expect(await attack(alice, "bob", encodeBundleReply(nonce, record))).toBe("control");
    expect((await alice.client.safetyNumber("bob")).trust).toBe("first-use");
  });

  test("an answer that is not signed, or somebody else's, is not believed", async () => {
    const world = new World(random);
    const bob = new Villain(random, "bob");
    const good = bob.directoryRecord();
    for (const [record, code] of [
      [flip(good, 60), /^ERR_(SIGNATURE|DECODE)$/u],
      [flip(good, good.length - 1), /^ERR_SIGNATURE$/u],
      [new Villain(random, "mallory").directoryRecord(), /^ERR_DEVICE_LIST$/u],
    ] as const) {
      const alice = await loner(world, "alice");
      const before = await stateOf(alice);
      const sealing = rejection(alice.client.encrypt("bob", "secret"));
      await settled(alice);
      const question = decodeFrame(alice.posted[0]?.frame ?? new Uint8Array());
      if (question.kind !== "bundle-request") throw new Error("nobody was asked");
      await open(alice, "bob", encodeBundleReply(question.nonce, record));
      expect(await sealing).toMatch(code);
      expect(await stateOf(alice)).toBe(before);
    }
  });

  test("questions are answered ten times an hour and asked back five times, and never to oneself", async () => {
    const world = new World(random);
    const alice = await loner(world, "alice");
    for (let minute = 0; minute < 60; minute++) {
      for (let i = 0; i < 3; i++) expect(await attack(alice, "mallory", encodeBundleRequest(random.bytes(16)))).toBe("control");
      await open(alice, "alice", encodeBundleRequest(random.bytes(16)));
      world.now += 60_000;
    }
    await settled(alice);
    const kinds = alice.posted.map(({ to, frame }) => `${decodeFrame(frame).kind} ${to}`);
    expect(kinds.filter((kind) => kind === "bundle-reply mallory")).toHaveLength(10);
    expect(kinds.filter((kind) => kind === "bundle-request mallory")).toHaveLength(5);
    expect(kinds).toHaveLength(15);
  }, 120_000);
});

test("instructions inside the session of a kind this release does not know are not obeyed and not stored", async () => {
  const world = new World(random);
  const [alice, bob] = await world.friends();
  const mallory = new Villain(random);
  const directory = world.directory("mallory");
  await mallory.publish(directory);
  await mallory.meet(directory, bob);
  await open(bob, "mallory", mallory.envelope(bob));
  for (const control of [1, 2, 16, 255]) expect(await attack(bob, "mallory", mallory.envelope(bob, { bytes: (content) => content.with(1, control) }))).toBe("version, update");
  // Nothing a peer sends changes a message that is there: neither its own nor another's.
  const { body, id } = await seal(alice, bob, "the original");
  await open(bob, alice, body);
  const raw = Buffer.from(id, "base64url");
  expect((await open(bob, "mallory", mallory.envelope(bob, { id: raw, content: { body: new TextEncoder().encode("the edit") } }))).kind).toBe("message");
  const texts = (await bob.client.history({ conversation: "alice" })).map((message) => message.text);
  expect([texts.includes("the original"), texts.includes("the edit")]).toEqual([true, false]);
  expect(await attack(bob, "alice", concat(body.subarray(0, -1), Uint8Array.of((body.at(-1) ?? 0) ^ 1)))).toBe("corrupt, none");
});
