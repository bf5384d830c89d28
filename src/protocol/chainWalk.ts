/**
 * The way along a receiving chain to the counter of a message (Double Ratchet §2.6), bounded at 25,000 steps.
 * It must be gone before the message can be authenticated, so anyone who knows the ratchet key can ask for it. A caller that
 * must not be held up sets `maxSteps`, catches {@link ChainGapError}, goes the way in slices with {@link walkChain} and tries again.
 */
import { copy, wipe, type Bytes } from "../bytes.ts";
import type { Crypto } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import { messageSeed, nextChainKey, type StepSecrets } from "./doubleRatchet.ts";
import { MAX_SKIPPED_KEYS } from "./skippedKeys.ts";
import type { ChainAhead, ChainGap, DecryptOptions } from "./types.ts";

/** Farthest a message may lie ahead of its chain. */
export const MAX_FORWARD_JUMP = 25_000;

/** Says which way must be walked before the message can be tried. A signal to the caller, not a failure: no state changed. */
export class ChainGapError extends Error {
  /** Always `"ChainGapError"`. */
  override readonly name = "ChainGapError";
  // Private, so that printing or cloning the error shows no chain key.
  readonly #gap: ChainGap;

  /** Keeps `gap`; the chain key in it stays the caller's to wipe. */
  constructor(gap: ChainGap) {
    super("walk the chain first");
    this.#gap = gap;
  }

  /** The way to walk. Its chain key is a secret and the receiver's to wipe. */
  get gap(): ChainGap {
    return this.#gap;
  }
}

/** Where a walk ended: at the message's own place. */
export interface ChainPlace {
  /** Seed of the message, 32 bytes, registered as passing. */
  readonly seed: Bytes;
  /** Chain key behind the message, 32 bytes, registered as kept. */
  readonly chainKey: Bytes;
  /** Seeds passed that are to be kept: those of the last at most 2,000 counters before the message. Registered as passing. */
  readonly skipped: readonly Bytes[];
}

/**
 * Walks from `gap.index` to `gap.target` and one step beyond.
 * @throws {MiyuError} ERR_DECRYPT if the way is longer than 25,000
 * @throws {ChainGapError} if more than `maxSteps` of it are left
 */
export function walkToMessage(crypto: Crypto, secrets: StepSecrets, gap: ChainGap, options: DecryptOptions): ChainPlace {
  if (gap.target - gap.index > MAX_FORWARD_JUMP) throw new MiyuError("ERR_DECRYPT");
  const ahead = furthest(crypto, gap, options.ahead ?? []);
  let { index, chainKey } = ahead ?? gap;
  if (gap.target - index > (options.maxSteps ?? MAX_FORWARD_JUMP)) throw new ChainGapError({ ...gap, chainKey: copy(gap.chainKey) });
  const wanted = firstKept(gap);
  const skipped = ahead ? ahead.seeds.slice(Math.max(0, wanted - firstSeed(ahead))).map((seed) => secrets.passing(copy(seed))) : [];
  for (; index < gap.target; index++) {
    if (index >= wanted) skipped.push(secrets.passing(messageSeed(crypto, chainKey)));
    chainKey = secrets.passing(nextChainKey(crypto, chainKey));
  }
  const seed = secrets.passing(messageSeed(crypto, chainKey));
  return { seed, chainKey: secrets.keep(nextChainKey(crypto, chainKey)), skipped };
}

/**
 * Walks at most `steps` of `gap`, on from `ahead` if one is given. `ahead` is used up by this: its buffers pass into the result
 * or are wiped. The result holds secrets; give it to the next decryption and then to {@link wipeChainAhead}.
 * @throws {MiyuError} ERR_USAGE if `ahead` belongs to another gap
 * @throws {MiyuError} ERR_DECRYPT if the gap is longer than 25,000
 */
export function walkChain(crypto: Crypto, gap: ChainGap, ahead: ChainAhead | undefined, steps: number): ChainAhead {
  if (gap.target - gap.index > MAX_FORWARD_JUMP) throw new MiyuError("ERR_DECRYPT");
  if (ahead && (!sameStart(crypto, ahead.from, gap) || ahead.from.target !== gap.target)) {
    throw new MiyuError("ERR_USAGE", { reason: "walked along another chain" });
  }
  const seeds = ahead ? [...ahead.seeds] : [];
  let index = ahead?.index ?? gap.index;
  let chainKey = ahead?.chainKey ?? copy(gap.chainKey);
  const end = Math.min(gap.target, index + Math.max(0, steps));
  for (; index < end; index++) {
    if (index >= firstKept(gap)) seeds.push(messageSeed(crypto, chainKey));
    const next = nextChainKey(crypto, chainKey);
    wipe(chainKey);
    chainKey = next;
  }
  return { from: gap, index, chainKey, seeds };
}

/** Wipes everything an ended or abandoned walk holds, the chain key of its gap included. */
export function wipeChainAhead(ahead: ChainAhead): void {
  wipe(ahead.from.chainKey, ahead.chainKey, ...ahead.seeds);
}

/** The walk that saves most of the way: from the same place, not beyond the message, and with every seed that must be kept. */
function furthest(crypto: Crypto, gap: ChainGap, walks: readonly ChainAhead[]): ChainAhead | undefined {
  let best: ChainAhead | undefined;
  for (const walk of walks) {
    // Not beyond: else a forged far counter could make the chain run past honest messages.
    const fits = walk.index <= gap.target && (walk.index <= firstKept(gap) || firstSeed(walk) <= firstKept(gap));
    if (fits && walk.index > (best?.index ?? gap.index) && sameStart(crypto, walk.from, gap)) best = walk;
  }
  return best;
}

function sameStart(crypto: Crypto, a: ChainGap, b: ChainGap): boolean {
  return a.index === b.index && crypto.equal(a.chainKey, b.chainKey);
}

/** Lowest counter whose seed is kept when the message at `gap.target` is reached. */
function firstKept(gap: ChainGap): number {
  return Math.max(gap.index, gap.target - MAX_SKIPPED_KEYS);
}

function firstSeed(ahead: ChainAhead): number {
  return ahead.index - ahead.seeds.length;
}
