/**
 * One conversation over a bad network between a Miyu party and another one: seeded turns of speaking, loss, reordering, replays,
 * forgeries and restarts, while a model that knows nothing but ratchet keys says what must come of every delivery on our side.
 */
import { expect } from "vitest";
import { equal } from "../../src/bytes.ts";
import type { SeededRandom } from "../support/random.ts";
import type { MiyuParty } from "./peers/miyu.ts";
import type { Outcome, Party, WireMessage } from "./peers/party.ts";
import { ratchetKeyOf, rewrapped } from "./wireSchema.ts";

/** Receiver chains a session of ours keeps. */
const KEPT_CHAINS = 5;

interface Sent {
  readonly number: number;
  readonly plaintext: Uint8Array;
  readonly message: WireMessage;
  readonly ratchetKey: string;
  readonly from: Party;
  readonly to: Party;
  opened: boolean;
}

/** What happened, for the log and for checks that the run was worth something. */
export interface Statistics {
  sent: number;
  opened: number;
  lost: number;
  outOfOrder: number;
  turns: number;
  restarts: number;
  forgeries: number;
  duplicatesRefused: number;
  beyondOldChains: number;
  /** What the other implementation answered to replays and to messages of long gone chains, counted. */
  readonly peerAnswers: Map<string, number>;
}

/** Ratchet keys one side has chains for, oldest first, and those it has given up. */
interface Chains {
  readonly known: string[];
  readonly gone: Set<string>;
  highest: number;
}

/** Both sides of a conversation. */
export interface Pairing {
  readonly initiator: Party;
  readonly responder: Party;
  /** Which of the two is ours. */
  readonly ours: MiyuParty;
  readonly withOneTimePreKey: boolean;
}

/** Talks until `total` messages were sent, delivers what is still under way, and lets each side say one last undisturbed thing. */
export async function converse(pairing: Pairing, random: SeededRandom, total: number): Promise<Statistics> {
  const { initiator, responder, ours, withOneTimePreKey } = pairing;
  const bundle = await responder.publish(withOneTimePreKey);
  await initiator.start(responder.name, bundle);
  const statistics: Statistics = {
    sent: 0, opened: 0, lost: 0, outOfOrder: 0, turns: 0, restarts: 0, forgeries: 0, duplicatesRefused: 0, beyondOldChains: 0,
    peerAnswers: new Map(),
  };
  const chains = new Map<Party, Chains>([initiator, responder].map((party) => [party, { known: [], gone: new Set(), highest: -1 }]));
  // Our initiator counts the signed prekey as the responder's first ratchet key.
  if (ours === initiator) chains.get(ours)!.known.push("signed prekey");
  let underWay: { readonly due: number; readonly sent: Sent }[] = [];
  let speaker = initiator;

  const say = async (from: Party): Promise<Sent> => {
    const plaintext = random.bytes(random.chance(0.03) ? 0 : random.int(300));
    const to = from === initiator ? responder : initiator;
    const message = await from.encrypt(to.name, plaintext);
    return { number: statistics.sent++, plaintext, message, ratchetKey: ratchetKeyOf(message), from, to, opened: false };
  };
  const deliver = async (sent: Sent): Promise<void> => {
    if (sent.to === ours) {
      if (random.chance(0.05)) await refuseForgery(ours, sent, random, statistics);
      await deliverToUs(ours, sent, chains.get(ours)!, statistics);
    } else await deliverToPeer(sent, chains.get(sent.to)!, statistics);
  };

  for (let now = 0; statistics.sent < total; now++) {
    if (random.chance(0.2)) {
      const other = speaker === initiator ? responder : initiator;
      if (other.storedSession(speaker.name) !== undefined) {
        speaker = other;
        statistics.turns++;
      }
    }
    const sent = await say(speaker);
    if (random.chance(0.05)) statistics.lost++;
    else underWay.push({ due: now + delay(random), sent });
    if (random.chance(0.08)) underWay.push({ due: now + random.int(40), sent });
    const due = random.shuffle(underWay.filter((entry) => entry.due <= now));
    underWay = underWay.filter((entry) => entry.due > now);
    for (const entry of due) await deliver(entry.sent);
    if (random.chance(0.02)) {
      random.pick([initiator, responder]).restart();
      statistics.restarts++;
    }
  }
  for (const { sent } of random.shuffle(underWay)) await deliver(sent);
  for (const from of [initiator, responder, initiator]) await deliver(await say(from));
  return statistics;
}

/** Most messages arrive at once, some a little late, a few very late. */
function delay(random: SeededRandom): number {
  const fate = random.int(100);
  if (fate < 65) return 0;
  return fate < 96 ? random.int(10) : random.int(80);
}

async function deliverToUs(ours: MiyuParty, sent: Sent, chains: Chains, statistics: Statistics): Promise<void> {
  const before = ours.storedSession(sent.from.name);
  const outcome = await ours.decrypt(sent.from.name, sent.message);
  if (chains.gone.has(sent.ratchetKey)) {
    expect(outcome).toEqual({ kind: "refused", reason: "ERR_DECRYPT" });
    statistics.beyondOldChains++;
  } else if (sent.opened) {
    expect(outcome).toEqual({ kind: "duplicate" });
    statistics.duplicatesRefused++;
  } else { opened(sent, outcome, chains, statistics); return; }
  expect(ours.storedSession(sent.from.name)).toBe(before);
}

async function deliverToPeer(sent: Sent, chains: Chains, statistics: Statistics): Promise<void> {
  const outcome = await sent.to.decrypt(sent.from.name, sent.message);
  if (!sent.opened && !chains.gone.has(sent.ratchetKey)) { opened(sent, outcome, chains, statistics); return; }
  const answer = `${sent.opened ? "replay" : "old chain"}: ${outcome.kind === "refused" ? outcome.reason : outcome.kind}`;
  statistics.peerAnswers.set(answer, (statistics.peerAnswers.get(answer) ?? 0) + 1);
  if (outcome.kind === "plaintext") expect(equal(outcome.plaintext, sent.plaintext)).toBe(true);
}

function opened(sent: Sent, outcome: Outcome, chains: Chains, statistics: Statistics): void {
  if (outcome.kind !== "plaintext") throw new Error(`message ${sent.number} of ${sent.from.name}: ${JSON.stringify(outcome)}`);
  expect(equal(outcome.plaintext, sent.plaintext)).toBe(true);
  sent.opened = true;
  statistics.opened++;
  if (sent.number < chains.highest) statistics.outOfOrder++;
  chains.highest = Math.max(chains.highest, sent.number);
  if (chains.known.includes(sent.ratchetKey)) return;
  chains.known.push(sent.ratchetKey);
  if (chains.known.length > KEPT_CHAINS) chains.gone.add(chains.known.shift()!);
}

/** One flipped bit in the part that is authenticated: never a plaintext, never a change. */
async function refuseForgery(ours: MiyuParty, sent: Sent, random: SeededRandom, statistics: Statistics): Promise<void> {
  const { kind, bytes } = sent.message;
  const flipped = (signal: Uint8Array): Uint8Array => {
    const at = random.int(signal.length);
    return signal.with(at, signal[at]! ^ (1 << random.int(8)));
  };
  const forgery = kind === "preKey" ? rewrapped(bytes, flipped) : flipped(bytes);
  const before = ours.storedSession(sent.from.name);
  const outcome = await ours.decrypt(sent.from.name, { kind, bytes: forgery });
  expect(outcome.kind).not.toBe("plaintext");
  expect(ours.storedSession(sent.from.name)).toBe(before);
  statistics.forgeries++;
}
