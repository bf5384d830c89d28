/**
 * Seeds of messages that have not come yet (Double Ratchet §2.6), per receiver chain: at most 2,000, the lowest counters dropped first.
 * They lie in pages of 128 counters, each one buffer that is also its stored form, so taking one seed rewrites one small page.
 * A page may still be in the store; it is asked for when it is needed, all that are needed at once. Pages are never written to.
 */
import { copy, wipe, type Bytes } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import type { SessionParts, SkippedKeys, SkippedPage } from "./types.ts";

/** Most seeds kept for one chain. */
export const MAX_SKIPPED_KEYS = 2_000;

/** Counters in one page. */
export const PAGE_COUNTERS = 128;

const PAGE_VERSION = 1;
const SEED_LENGTH = 32;
const BITMAP_LENGTH = PAGE_COUNTERS / 8;
const SEEDS_AT = 1 + BITMAP_LENGTH;

/** A chain without skipped messages. */
export const NO_SKIPPED_KEYS: SkippedKeys = [];

/** A chain's pages after a change. */
export interface ChangedKeys {
  readonly skipped: SkippedKeys;
  /** Buffers of pages that were rewritten or dropped: wipe them after the commit. */
  readonly spent: readonly Uint8Array[];
}

/** Result of taking a seed. */
export interface TakenKey extends ChangedKeys {
  /** A copy, owned by the caller. */
  readonly seed: Bytes;
}

/** Takes the seed of `counter` out, or undefined if it is not there. @throws {MiyuError} ERR_STORE_CORRUPT for a damaged page */
export function takeSkippedKey(skipped: SkippedKeys, counter: number): TakenKey | undefined {
  const at = skipped.findIndex((page) => page.number === counter >>> 7);
  const page = skipped[at];
  if (page === undefined) return undefined;
  const [content] = loadPages([page]);
  if (content === undefined) return undefined;
  if (!has(content, counter & 127)) {
    if (!isLoaded(page)) wipe(content);
    return undefined;
  }
  const place = seedOffset(content, counter & 127);
  const seed = content.slice(place, place + SEED_LENGTH);
  const rest = page.count === 1 ? [] : [{ number: page.number, count: page.count - 1, content: without(content, counter & 127, place) }];
  return { seed, skipped: [...skipped.slice(0, at), ...rest, ...skipped.slice(at + 1)], spent: [content] };
}

/**
 * Adds `seeds` (copied) for the counters from `first` on, all above those already there, and drops the lowest beyond 2,000.
 * @throws {MiyuError} ERR_STORE_CORRUPT for a damaged page
 */
export function addSkippedKeys(skipped: SkippedKeys, first: number, seeds: readonly Uint8Array[]): ChangedKeys {
  if (seeds.length === 0) return { skipped, spent: [] };
  let excess = Math.max(0, countSkippedKeys(skipped) + seeds.length - MAX_SKIPPED_KEYS);
  const ignored = Math.max(0, seeds.length - MAX_SKIPPED_KEYS);
  excess -= ignored;
  const kept = seeds.slice(ignored);
  const start = first + ignored;

  let whole = 0;
  while (excess > 0 && excess >= (skipped[whole]?.count ?? Infinity)) excess -= skipped[whole++]?.count ?? 0;
  const dropped = skipped.slice(0, whole).filter(isLoaded);
  const survivors = skipped.slice(whole);
  const cut = excess > 0 ? survivors[0] : undefined;
  const last = survivors.at(-1);
  const open = last !== undefined && last.number === start >>> 7 ? last : undefined;

  const touched = survivors.filter((page) => page === cut || page === open);
  const contents = loadPages(touched);
  const content = new Map(touched.map((page, i) => [page, contents[i] ?? missing()]));
  const pages: SkippedPage[] = [];
  for (const page of survivors) {
    const bytes = content.get(page);
    if (bytes === undefined) pages.push(page);
    else {
      const lost = page === cut ? excess : 0;
      const added = page === open ? kept.slice(0, PAGE_COUNTERS - (start & 127)) : [];
      pages.push(makePage(page.number, entries(bytes).slice(lost), start, added));
    }
  }
  for (let i = open ? PAGE_COUNTERS - (start & 127) : 0; i < kept.length; ) {
    const room = PAGE_COUNTERS - ((start + i) & 127);
    pages.push(makePage((start + i) >>> 7, [], start + i, kept.slice(i, i + room)));
    i += room;
  }
  return { skipped: pages, spent: [...dropped.map((page) => page.content), ...contents] };
}

/** How many seeds there are, in memory and in the store. */
export function countSkippedKeys(skipped: SkippedKeys): number {
  return skipped.reduce((sum, page) => sum + page.count, 0);
}

/** The buffers that are in memory: for wiping a chain that is dropped. */
export function loadedSeeds(skipped: SkippedKeys): readonly Uint8Array[] {
  return skipped.filter(isLoaded).map((page) => page.content);
}

/** Contents of `pages`, those not in memory asked for with one call for each source. @throws {MiyuError} ERR_STORE_CORRUPT */
export function loadPages(pages: readonly SkippedPage[]): readonly Bytes[] {
  const stored = new Map<SessionParts, { page: SkippedPage; name: string }[]>();
  const contents = new Map<SkippedPage, Bytes>();
  for (const page of pages) {
    if (isLoaded(page)) contents.set(page, page.content);
    else if ("parts" in page.content) {
      const { parts, name } = page.content;
      const wanted = stored.get(parts) ?? [];
      wanted.push({ page, name });
      stored.set(parts, wanted);
    }
  }
  for (const [source, wanted] of stored) {
    const found = source.parts(wanted.map(({ name }) => name));
    wanted.forEach(({ page }, i) => contents.set(page, checkPage(found[i], page.count)));
  }
  return pages.map((page) => contents.get(page) ?? missing());
}

function isLoaded(page: SkippedPage): page is SkippedPage & { readonly content: Bytes } {
  return page.content instanceof Uint8Array;
}

/** A stored page, copied. Its count is known from the session, so an older copy with a used seed in it does not pass. */
function checkPage(bytes: Uint8Array | undefined, count: number): Bytes {
  if (bytes?.[0] !== PAGE_VERSION || bytes.length !== SEEDS_AT + count * SEED_LENGTH || seedsBelow(bytes, PAGE_COUNTERS) !== count) missing();
  return copy(bytes);
}

function missing(): never {
  throw new MiyuError("ERR_STORE_CORRUPT", { what: "skipped keys" });
}

function has(content: Uint8Array, place: number): boolean {
  return (((content[1 + (place >>> 3)] ?? 0) >>> (place & 7)) & 1) === 1;
}

/** Bits set below `place`. */
function seedsBelow(content: Uint8Array, place: number): number {
  let count = 0;
  for (let i = 0; i < place; i++) if (has(content, i)) count++;
  return count;
}

function seedOffset(content: Uint8Array, place: number): number {
  return SEEDS_AT + seedsBelow(content, place) * SEED_LENGTH;
}

function without(content: Uint8Array, place: number, offset: number): Bytes {
  const out = new Uint8Array(content.length - SEED_LENGTH);
  out.set(content.subarray(0, offset));
  out.set(content.subarray(offset + SEED_LENGTH), offset);
  const byte = 1 + (place >>> 3);
  out[byte] = (out[byte] ?? 0) & ~(1 << (place & 7));
  return out;
}

/** A place in a page and a view of its seed. */
type PageEntry = readonly [place: number, seed: Uint8Array];

function entries(content: Uint8Array): PageEntry[] {
  const out: PageEntry[] = [];
  let offset = SEEDS_AT;
  for (let place = 0; place < PAGE_COUNTERS; place++) {
    if (!has(content, place)) continue;
    out.push([place, content.subarray(offset, offset + SEED_LENGTH)]);
    offset += SEED_LENGTH;
  }
  return out;
}

/** A page of the old entries and then `added`, whose first counter is `start`; at least one of both. */
function makePage(number: number, old: readonly PageEntry[], start: number, added: readonly Uint8Array[]): SkippedPage {
  const count = old.length + added.length;
  const content = new Uint8Array(SEEDS_AT + count * SEED_LENGTH);
  content[0] = PAGE_VERSION;
  let offset = SEEDS_AT;
  const put = (place: number, seed: Uint8Array): void => {
    const byte = 1 + (place >>> 3);
    content[byte] = (content[byte] ?? 0) | (1 << (place & 7));
    content.set(seed, offset);
    offset += SEED_LENGTH;
  };
  for (const [place, seed] of old) put(place, seed);
  added.forEach((seed, i) => put((start & 127) + i, seed));
  return { number, count, content };
}
