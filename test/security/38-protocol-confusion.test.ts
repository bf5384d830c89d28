// Attack 38: something said over one protocol is taken for another's (CVE-2022-39251 and siblings): here slot kinds, frame kinds, content kinds
// and versions swapped. Guards: the kinds of src/envelope/envelope.ts and control.ts, the version of content.ts, `openContent` (a direct
// envelope holds a direct content) and the message version of the session. Without one of them a relabelled frame opens or is obeyed.
import { describe, expect, test } from "vitest";
import { concat, copy, utf8 } from "../../src/bytes.ts";
import { encodeBundleReply, encodeBundleRequest } from "../../src/envelope/control.ts";
import { craft } from "../interop/craft.ts";
import { acquainted, codeOf, crypto, numbered, pair } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { attack, open, outcome, seal, World, type Person } from "./people.ts";
import { currentOf, Villain, withSlots } from "./villain.ts";

const random = seededRandom(testSeed("38 protocol confusion"));

async function withVillain(): Promise<readonly [bob: Person, mallory: Villain]> {
  const world = new World(random);
  const bob = await world.join("bob");
  const mallory = new Villain(random);
  const directory = world.directory("mallory");
  await mallory.publish(directory);
  await mallory.meet(directory, bob);
  expect(outcome(await open(bob, "mallory", mallory.envelope(bob)))).toBe("message");
  return [bob, mallory];
}

test("a frame under another kind or version", async () => {
  const [alice, bob] = await new World(random).friends();
  const { body } = await seal(alice, bob, "hi");
  const expected: Record<number, string> = { 16: "corrupt, none", 17: "corrupt, none" };
  for (const kind of [0, 2, 3, 4, 15, 16, 17, 18, 255]) expect(await attack(bob, alice, body.with(1, kind)), String(kind)).toBe(expected[kind] ?? "version, update");
  for (const version of [0, 2, 0x33, 0x44, 255]) expect(await attack(bob, alice, body.with(0, version)), String(version)).toBe("version, update");
  for (const frame of [encodeBundleRequest(random.bytes(16)), encodeBundleReply(random.bytes(16), new Villain(random).directoryRecord())]) {
    expect(await attack(bob, alice, frame)).toBe("control");
    expect(await attack(bob, alice, frame.with(1, 1))).toMatch(/^(corrupt|version|no-session|device-not-listed), /u);
  }
  expect(outcome(await open(bob, alice, body))).toBe("message");
});

test("a Signal message under the other kind, or bare", async () => {
  const [bob, mallory] = await withVillain();
  for (const kind of ["signal", "preKey"] as const) {
    const swapped = mallory.envelope(bob, { message: (message) => ({ kind: message.kind === "preKey" ? "signal" : kind, message: message.message }) });
    expect(await attack(bob, "mallory", swapped)).toBe("corrupt, none");
  }
  const honest = mallory.envelope(bob);
  const inner = withSlots(honest, (slot) => ({ ...slot, kind: "signal", message: copy(slot.message.subarray(slot.message.length - 130)) }));
  expect(await attack(bob, "mallory", inner)).toMatch(/^(corrupt, none|version, update)$/u);
  expect(outcome(await open(bob, "mallory", honest))).toBe("message");
});

test("content of another kind inside a direct envelope", async () => {
  const [bob, mallory] = await withVillain();
  const cases: [string, Parameters<Villain["envelope"]>[1], string][] = [
    ["group content", { content: { conversation: { kind: "group", group: "bob" } } }, "corrupt, none"],
    ["a control byte nobody knows", { bytes: (content) => content.with(1, 1) }, "version, update"],
    ["a content version nobody knows", { bytes: (content) => content.with(0, 2) }, "version, update"],
    ["a conversation kind nobody knows", { bytes: (content) => content.with(10 + 2 + 7 + 16, 3) }, "corrupt, none"],
    ["an envelope inside", { bytes: () => concat(Uint8Array.of(1, 1), random.bytes(100)) }, "version, update"],
    ["plain text", { bytes: () => utf8("hello") }, "version, update"],
    ["nothing", { bytes: () => new Uint8Array() }, "corrupt, none"],
    ["a slot that holds the content itself", { slot: () => utf8("hello, this is the message itself, in 64 bytes and not a key....") }, "corrupt, none"],
    ["a slot of another length", { slot: (plaintext) => concat(plaintext, new Uint8Array(1)) }, "corrupt, none"],
  ];
  for (const [name, how, result] of cases) expect(await attack(bob, "mallory", mallory.envelope(bob, how)), name).toBe(result);
  expect(outcome(await open(bob, "mallory", mallory.envelope(bob)))).toBe("message");
});

describe("versions of Signal messages", () => {
  test.each([0x13, 0x23, 0x43, 0x44, 0x53, 0xf3])("a message that says it is of version byte %i is no message of a version 3 session", (version) => {
    const [alice, bob] = acquainted(random);
    const before = bob.snapshot();
    const { bytes } = craft(crypto, currentOf(alice), { innerVersion: version, plaintext: numbered(1) });
    expect(codeOf(() => bob.decrypt({ kind: "signal", message: bytes }))).toMatch(/^ERR_(DECRYPT|VERSION)$/u);
    const [carol, dave] = pair(random);
    const first = craft(crypto, currentOf(carol), { outerVersion: version, plaintext: numbered(1) });
    const fresh = dave.snapshot();
    expect(codeOf(() => dave.decrypt({ kind: "preKey", message: first.bytes }))).toBe("ERR_VERSION");
    expect([bob.snapshot(), dave.snapshot(), dave.oneTime.size]).toEqual([before, fresh, 1]);
    expect(dave.decrypt({ kind: "preKey", message: craft(crypto, currentOf(carol), { plaintext: numbered(1) }).bytes })).toEqual(numbered(1));
  });
});
