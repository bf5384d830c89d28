/**
 * What the peers do where the public specification leaves room, or where they leave the specification: the observations of
 * docs/interop.md, pinned for the versions in package.json. A failure here means that a peer changed, not that we broke.
 */
import { describe, expect, test } from "vitest";
import { concat, toHex, type Bytes } from "../../src/bytes.ts";
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { sodiumCrypto } from "../../src/crypto/sodium.ts";
import { verifyPreKeyBundle, type PreKeyBundle } from "../../src/protocol/index.ts";
import type { ProtobufField } from "../../src/protocol/codec.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { craft, unknownGroups, type Craft } from "./craft.ts";
import { addOrder } from "./edwards.ts";
import { libsignalNpm } from "./peers/libsignalNpm.ts";
import { miyu, type MiyuParty } from "./peers/miyu.ts";
import type { Implementation, Outcome, Party } from "./peers/party.ts";
import { privacyresearch } from "./peers/privacyresearch.ts";
import { quietPeers } from "./peers/quiet.ts";
import { fieldOrder, readPreKeySignal, readSignal } from "./wireSchema.ts";

quietPeers();

const sodium = await sodiumCrypto();
const random = seededRandom(testSeed("observations of the peers"));
const ours = miyu(sodium, random);
const ZERO_KEY = concat(Uint8Array.of(5), new Uint8Array(32));

const outcome = (came: Outcome): string => (came.kind === "refused" ? came.reason : came.kind);

/** A session of ours with a fresh party of `peer`, which has seen nothing yet. */
async function begun(peer: Implementation, withOneTimePreKey = true): Promise<{ mina: MiyuParty; yuri: Party }> {
  const mina = await ours.create("mina");
  const yuri = await peer.create("yuri");
  await mina.start("yuri", await yuri.publish(withOneTimePreKey));
  return { mina, yuri };
}

/** What comes of a crafted first message. */
async function first(peer: Implementation, how: Craft, counter = 0): Promise<string> {
  const { mina, yuri } = await begun(peer);
  return outcome(await yuri.decrypt("mina", craft(sodium, mina.session("yuri"), how, counter)));
}

/** `text` spoken and understood. */
async function say(from: Party, to: Party): Promise<string> {
  return outcome(await to.decrypt(from.name, await from.encrypt(to.name, random.bytes(20))));
}

/** Writes another value into one field. */
function field(number: number, change: (value: Uint8Array) => Uint8Array | number | undefined) {
  return (fields: readonly ProtobufField[]): ProtobufField[] =>
    fields.map(([at, value]) => [at, at === number ? change(value instanceof Uint8Array ? value : new Uint8Array(0)) : value]);
}

const reversed = (fields: readonly ProtobufField[]): ProtobufField[] => [...fields].reverse();
const withUnknown = (fields: readonly ProtobufField[]): ProtobufField[] => [...fields, [9, 1], [20, new Uint8Array(4)]];
const withTail = (key: Uint8Array): Bytes => concat(key, Uint8Array.of(1));
const highBit = (key: Uint8Array): Uint8Array => key.with(32, key[32]! | 0x80);

/** Where the two differ. */
const PEERS = [
  {
    peer: libsignalNpm,
    preKeyFields: [1, 2, 3, 4, 5, 6],
    absentOneTimePreKeyId: undefined,
    badMac: /Bad MAC|No matching sessions/u,
    replayed: "duplicate",
    checksBundleSignature: false,
    unknownOneTimePreKey: "PreKeyError: Invalid PreKey ID",
    allZeroAgreement: /derivation/u,
  },
  {
    peer: privacyresearch,
    preKeyFields: [5, 1, 6, 2, 3, 4],
    absentOneTimePreKeyId: 0,
    badMac: /Bad MAC/u,
    replayed: "MessageCounterError: Message key not found. The counter was repeated or the key was not filled.",
    checksBundleSignature: true,
    unknownOneTimePreKey: "Error: Bad MAC",
    allZeroAgreement: undefined,
  },
] as const;

describe.each(PEERS)("$peer.label", (each) => {
  const { peer, preKeyFields, absentOneTimePreKeyId, badMac, replayed, checksBundleSignature, unknownOneTimePreKey, allZeroAgreement } = each;

  test("writes 0x33, the fields in its own order, and an index one lower than a count as previous counter", async () => {
    for (const oneTime of [true, false]) {
      const mina = await ours.create("mina");
      const yuri = await peer.create("yuri");
      await yuri.start("mina", await mina.publish(oneTime));
      const outer = readPreKeySignal((await yuri.encrypt("mina", new Uint8Array(1))).bytes);
      const inner = readSignal(outer.message);
      expect([outer.versionByte, inner.versionByte]).toEqual([0x33, 0x33]);
      expect(fieldOrder(outer.body)).toEqual(oneTime || absentOneTimePreKeyId === 0 ? preKeyFields : preKeyFields.filter((each) => each !== 1));
      expect(outer.oneTimePreKeyId).toBe(oneTime ? 1001 : absentOneTimePreKeyId);
      expect(fieldOrder(inner.body)).toEqual([1, 2, 3, 4]);
    }
    const { mina, yuri } = await begun(peer);
    await say(mina, yuri);
    const previousCounters: number[] = [];
    for (const count of [1, 2, 3, 4, 1, 1]) {
      for (let i = 1; i < count; i++) await say(yuri, mina);
      const last = await yuri.encrypt("mina", new Uint8Array(1));
      previousCounters.push(readSignal(last.bytes).previousCounter);
      await mina.decrypt("yuri", last);
      await say(mina, yuri);
    }
    expect(previousCounters).toEqual([0, 0, 1, 2, 3, 0]);
  });

  test("reads any field order and unknown fields", async () => {
    expect(await first(peer, {})).toBe("plaintext");
    for (const change of [reversed, withUnknown]) {
      expect(await first(peer, { innerFields: change })).toBe("plaintext");
      expect(await first(peer, { outerFields: change })).toBe("plaintext");
    }
    expect(await first(peer, { innerFields: (fields) => fields.filter(([number]) => number !== 3) })).toBe("plaintext");
  });

  test("refuses a version byte that says its writer knows version 4", async () => {
    expect(await first(peer, { outerVersion: 0x34 })).toContain("Incompatible version number on PreKeyWhisperMessage");
    expect(await first(peer, { innerVersion: 0x34 })).toContain("Incompatible version number on WhisperMessage");
  });

  test("has its own answer to a one-time prekey it does not hold", async () => {
    expect(await first(peer, { outerFields: field(1, () => 77) })).toBe(unknownOneTimePreKey);
  });

  test("passes over groups 101 deep, not 1,000", async () => {
    const { mina, yuri } = await begun(peer);
    for (const [depth, answer] of [[101, /^plaintext$/u], [1000, /depth exceeded/u]] as const) {
      const { kind, bytes } = await mina.encrypt("yuri", new Uint8Array(1));
      expect(outcome(await yuri.decrypt("mina", { kind, bytes: concat(bytes, unknownGroups(depth)) }))).toMatch(answer);
    }
  });

  test("puts 0x33 into the MAC, whatever low nibble it read", async () => {
    expect(await first(peer, { outerVersion: 0x30 })).toBe("plaintext");
    expect(await first(peer, { innerVersion: 0x30 })).toMatch(badMac);
    expect(await first(peer, { innerVersion: 0x30, macVersion: 0x33 })).toBe("plaintext");
  });

  test("refuses bytes behind a public key", async () => {
    expect(await first(peer, { innerFields: field(1, withTail) })).toContain("Invalid public key");
    expect(await first(peer, { outerFields: field(2, withTail) })).toContain("Invalid public key");
  });

  test("takes a base key with the high bit set, so one session has two names", async () => {
    expect(await first(peer, { outerFields: field(2, highBit) })).toBe("plaintext");
  });

  test("takes at most 2,000 steps along a chain, and keeps every key it passed", async () => {
    expect(await first(peer, {}, 2000)).toContain("Over 2000 messages into the future!");
    const { mina, yuri } = await begun(peer);
    const state = mina.session("yuri");
    for (const counter of [1999, 3999, 5999, 0, 1998, 2000]) {
      expect([counter, outcome(await yuri.decrypt("mina", craft(sodium, state, {}, counter)))]).toEqual([counter, "plaintext"]);
    }
  });

  test("keeps 20 old receiver chains and more", async () => {
    const { mina, yuri } = await begun(peer);
    await say(mina, yuri);
    const old = [];
    for (let i = 0; i < 20; i++) {
      await say(yuri, mina);
      old.push(await mina.encrypt("yuri", new Uint8Array(1)));
      await say(mina, yuri);
    }
    for (const message of old) expect(outcome(await yuri.decrypt("mina", message))).toBe("plaintext");
  });

  test("refuses a replay and a forgery, and stores nothing", async () => {
    const { mina, yuri } = await begun(peer);
    const message = await mina.encrypt("yuri", new Uint8Array(1));
    expect(outcome(await yuri.decrypt("mina", message))).toBe("plaintext");
    expect(outcome(await yuri.decrypt("mina", message))).toBe(replayed);
    await say(yuri, mina);
    const before = yuri.storedSession("mina");
    const { kind, bytes } = craft(sodium, mina.session("yuri"));
    expect(outcome(await yuri.decrypt("mina", { kind, bytes: bytes.with(-1, bytes.at(-1)! ^ 1) }))).toMatch(badMac);
    expect(yuri.storedSession("mina")).toBe(before);
    expect(await say(mina, yuri)).toBe("plaintext");
  });

  test("closes the old chain at the previous counter of the first message it gets on the new one", async () => {
    for (const previousCounter of [3, 1]) {
      const { mina, yuri } = await begun(peer);
      await say(mina, yuri);
      await say(yuri, mina);
      const old = [];
      for (let i = 0; i < 4; i++) old.push(await mina.encrypt("yuri", new Uint8Array(1)));
      await yuri.decrypt("mina", old[0]!);
      await say(yuri, mina);
      expect(mina.session("yuri").previousCounter).toBe(3);
      const next = craft(sodium, mina.session("yuri"), { innerFields: (fields) => fields.map(([at, value]) => [at, at === 3 ? previousCounter : value]) });
      expect(outcome(await yuri.decrypt("mina", next))).toBe("plaintext");
      expect(outcome(await yuri.decrypt("mina", old[1]!))).toBe("plaintext");
      expect((await yuri.decrypt("mina", old[3]!)).kind === "plaintext").toBe(previousCounter === 3);
    }
  });

  test("opens a first message again when the session is gone", async () => {
    const { mina, yuri } = await begun(peer, false);
    const message = await mina.encrypt("yuri", new Uint8Array(1));
    expect(outcome(await yuri.decrypt("mina", message))).toBe("plaintext");
    // Another address stands for a lost record: both have no session.
    expect(outcome(await yuri.decrypt("mallory", message))).toBe("plaintext");
  });

  test("ignores a false identity key on a known base key", async () => {
    const { mina, yuri } = await begun(peer);
    await say(mina, yuri);
    const other = (await ours.create("other")).identityKey;
    const message = craft(sodium, mina.session("yuri"), { outerFields: field(3, () => other) });
    expect(outcome(await yuri.decrypt("mina", message))).toBe("plaintext");
  });

  test(checksBundleSignature ? "checks the bundle signature, s ≥ L passes" : "does not check the bundle signature", async () => {
    const start = async (change: (signature: Uint8Array) => Uint8Array): Promise<boolean> => {
      const bundle = await (await ours.create("mina")).publish(true);
      const signedPreKey = { ...bundle.signedPreKey, signature: change(bundle.signedPreKey.signature) };
      return starts(await peer.create("yuri"), { ...bundle, signedPreKey });
    };
    expect(await start((signature) => signature)).toBe(true);
    expect(await start(addOrder)).toBe(true);
    expect(await start((signature) => signature.with(3, signature[3]! ^ 1))).toBe(!checksBundleSignature);
    expect(await start((signature) => signature.with(63, signature[63]! ^ 0x80))).toBe(!checksBundleSignature);
    expect(await start(() => new Uint8Array(64))).toBe(!checksBundleSignature);
    expect(await start((signature) => signature.subarray(0, 63))).toBe(false);
  });

  test("signatures of both signs hold on the other side", async () => {
    const signs = { ours: new Set<number>(), theirs: new Set<number>() };
    for (let i = 0; i < 64 && signs.ours.size + signs.theirs.size < 4; i++) {
      const [mina, yuri] = [await ours.create("mina"), await peer.create("yuri")];
      const [own, other] = [await mina.publish(false), await yuri.publish(false)];
      signs.ours.add(own.signedPreKey.signature[63]! >>> 7);
      signs.theirs.add(other.signedPreKey.signature[63]! >>> 7);
      for (const crypto of [nobleCrypto, sodium]) expect(() => verifyPreKeyBundle(crypto, other)).not.toThrow();
      expect(await starts(yuri, own)).toBe(true);
    }
    expect([signs.ours.size, signs.theirs.size]).toEqual([2, 2]);
  });

  test(allZeroAgreement ? "refuses a prekey that makes an all-zero agreement" : "takes a prekey that makes an all-zero agreement", async () => {
    const mina = await ours.create("mina");
    const bundle = await mina.publish(true);
    const signature = sodium.xeddsaSign(mina.local.identityKeyPair.privateKey, ZERO_KEY, random.bytes(64));
    for (const bad of [{ oneTimePreKey: { id: 5, publicKey: ZERO_KEY } }, { signedPreKey: { id: 5, publicKey: ZERO_KEY, signature } }]) {
      const starting = (await peer.create("yuri")).start("mina", { ...bundle, ...bad });
      await (allZeroAgreement ? expect(starting).rejects.toThrow(allZeroAgreement) : expect(starting).resolves.toBeUndefined());
    }
  });
});

describe("both start at once", () => {
  /** Both send before either has heard; then `crossing` more pairs of messages cross. Gives everything that was not understood. */
  async function collide(a: Party, b: Party, crossing: number): Promise<string[]> {
    const bundle = await a.publish(true);
    await a.start(b.name, await b.publish(true));
    await b.start(a.name, bundle);
    const failures: string[] = [];
    for (let i = 0; i <= crossing; i++) {
      const messages = [await a.encrypt(b.name, random.bytes(5)), await b.encrypt(a.name, random.bytes(5))] as const;
      failures.push(outcome(await b.decrypt(a.name, messages[0])), outcome(await a.decrypt(b.name, messages[1])));
    }
    return failures.filter((each) => each !== "plaintext");
  }

  const talk = async (a: Party, b: Party): Promise<string[]> => [await say(a, b), await say(b, a), await say(a, b), await say(b, a)];
  const UNDERSTOOD = ["plaintext", "plaintext", "plaintext", "plaintext"];
  const other = miyu(nobleCrypto, random);

  test("two of ours lose nothing, however often messages cross", async () => {
    for (const crossing of [0, 1, 2, 7]) {
      const [a, b] = [await ours.create("mina"), await other.create("mio")];
      expect(await collide(a, b, crossing)).toEqual([]);
      expect(await talk(a, b)).toEqual(UNDERSTOOD);
      expect([toHex(a.session("mio").baseKey), a.session("mio").pendingPreKey]).toEqual([toHex(b.session("mina").baseKey), undefined]);
    }
  });

  test.each([libsignalNpm, privacyresearch])("$label and we agree on one session if it speaks next", async (peer) => {
    const [mina, yuri] = [await ours.create("mina"), await peer.create("yuri")];
    expect(await collide(mina, yuri, 0)).toEqual([]);
    expect(await talk(yuri, mina)).toEqual(UNDERSTOOD);
  });

  test.each([libsignalNpm, privacyresearch])("two of $label break each other's sessions when messages cross once more", async (peer) => {
    const [a, b] = [await peer.create("yuri"), await peer.create("yuna")];
    expect(await collide(a, b, 1)).toEqual([]);
    expect((await talk(a, b)).filter((each) => each === "plaintext")).toEqual([]);
  });

  test.each([libsignalNpm, privacyresearch])("$label breaks its side of ours too; a new session from us heals it", async (peer) => {
    const [mina, yuri] = [await ours.create("mina"), await peer.create("yuri")];
    expect(await collide(mina, yuri, 1)).toEqual([]);
    expect(await say(mina, yuri)).not.toBe("plaintext");
    // One of the two comes back when it speaks next, the other does not.
    expect((await talk(yuri, mina)).every((came) => came === "plaintext")).toBe(peer === privacyresearch);
    await mina.start("yuri", await yuri.publish(true));
    expect(await talk(mina, yuri)).toEqual(UNDERSTOOD);
  });
});

async function starts(party: Party, bundle: PreKeyBundle): Promise<boolean> {
  return party.start("mina", bundle).then(
    () => true,
    () => false,
  );
}
