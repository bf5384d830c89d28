/**
 * Sessions between this library and two others that speak message version 3, each in both roles, with and without a one-time
 * prekey. What they answer to replays is printed, not asserted: docs/interop.md describes it.
 */
import { describe, expect, test } from "vitest";
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { sodiumCrypto } from "../../src/crypto/sodium.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { converse } from "./conversation.ts";
import { libsignalNpm } from "./peers/libsignalNpm.ts";
import { miyu } from "./peers/miyu.ts";
import { privacyresearch } from "./peers/privacyresearch.ts";
import { quietPeers } from "./peers/quiet.ts";

quietPeers();

const MESSAGES = 520;
const providers = { noble: nobleCrypto, sodium: await sodiumCrypto() };

/** Each provider meets each peer in both roles. */
const PAIRINGS = [
  { role: "initiates", oneTime: true, provider: "sodium" },
  { role: "initiates", oneTime: false, provider: "noble" },
  { role: "responds", oneTime: true, provider: "noble" },
  { role: "responds", oneTime: false, provider: "sodium" },
] as const;

describe.each([libsignalNpm, privacyresearch])("with $label", (peer) => {
  test.each(PAIRINGS)(`$provider $role, one-time prekey: $oneTime, ${MESSAGES} messages`, { timeout: 60_000 }, async ({ role, oneTime, provider }) => {
    const seed = testSeed(`${peer.label}, ${provider} ${role}, one-time prekey ${oneTime ? "yes" : "no"}`);
    const random = seededRandom(seed);
    const ours = await miyu(providers[provider], random).create("mina");
    const theirs = await peer.create("yuri");
    const [initiator, responder] = role === "initiates" ? [ours, theirs] : [theirs, ours];
    const statistics = await converse({ initiator, responder, ours, withOneTimePreKey: oneTime }, random, MESSAGES);
    console.info(JSON.stringify({ ...statistics, peerAnswers: Object.fromEntries(statistics.peerAnswers) }));
    // The run was worth something: every kind of trouble occurred.
    expect(statistics.sent).toBe(MESSAGES + 3);
    for (const count of ["turns", "lost", "outOfOrder", "restarts", "forgeries", "duplicatesRefused"] as const) {
      expect(statistics[count], count).toBeGreaterThan(0);
    }
  });
});
