/**
 * Stored form of a session record, in parts, so that a message rewrites little: the main part holds the current session and the
 * names of the archived ones; each archived session (`s/…`) and each page of skipped keys (`k/…`) is a part of its own, read
 * when it is needed. All parts are secret. Layout: docs/protocol.md. Big-endian; the first byte of every part is a version.
 */
import { copy, lp, lp32, Reader, toBase64url, u32be, u64be, utf8, concat, type Bytes } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import { PRIVATE_KEY_LENGTH, PUBLIC_KEY_LENGTH, PUBLIC_KEY_TYPE } from "./keys.ts";
import { CLASSIC_VERSION } from "./messages.ts";
import { EMPTY_SESSION_RECORD, MAX_ARCHIVED_SESSIONS } from "./session.ts";
import { MAX_RECEIVER_CHAINS } from "./sessionState.ts";
import { loadPages, MAX_SKIPPED_KEYS, PAGE_COUNTERS, type SkippedPage } from "./skippedKeys.ts";
import type { ArchivedSession, PendingPreKey, ReceiverChain, SessionParts, SessionRecord, SessionState } from "./types.ts";

const RECORD_VERSION = 1;
const WHAT = "session record";
const SECRET_LENGTH = 32;
const LAST_PAGE = 0xffffffff >>> 7;

/** What changed between two records: write and remove all of it in one commit. */
export interface EncodedSessionRecord {
  /** The main part; always to be written. */
  readonly main: Bytes;
  /** Parts to write, by name. */
  readonly write: ReadonlyMap<string, Bytes>;
  /** Parts to remove. */
  readonly remove: readonly string[];
}

/**
 * Reads a record. The result owns its bytes and keeps `parts`, which is asked when an archived session or a page of skipped keys is
 * needed: for all archived sessions at once, and for all pages one step needs at once.
 * @param main - the main part; undefined is an empty record
 * @throws {MiyuError} ERR_VERSION for a version this release does not know, ERR_STORE_CORRUPT
 */
export function decodeSessionRecord(main: Uint8Array | undefined, parts: SessionParts): SessionRecord {
  if (main === undefined) return EMPTY_SESSION_RECORD;
  return undamaged(main, (reader) => {
    const current = flag(reader) ? readSession(reader, parts) : undefined;
    const count = reader.u8();
    if (count > MAX_ARCHIVED_SESSIONS) reader.fail();
    const names: string[] = [];
    const load = archiveLoader(names, parts);
    const previous = Array.from({ length: count }, (_, i): ArchivedSession => {
      const version = readSessionVersion(reader);
      const baseKey = readPublicKey(reader);
      names.push(sessionName(baseKey));
      return { baseKey, version, load: () => load(i) };
    });
    return { current, previous };
  });
}

/**
 * Bytes of a record, for the parts that differ from `before`, the record it came from by one or more steps. Parts are told apart by
 * identity, so `before` must be the very object the steps started from.
 * @throws {MiyuError} ERR_STORE_CORRUPT if a part that must be read is damaged
 */
export function encodeSessionRecord(record: SessionRecord, before: SessionRecord): EncodedSessionRecord {
  const write = new Map<string, Bytes>();
  const known = new Set(before.previous);
  const kept = new Set(record.previous);
  const oldPages = new Map<SkippedPage, string>();
  const live = new Set<string>();
  if (before.current) for (const [name, page] of pagesOf(before.current)) oldPages.set(page, name);
  const remove: string[] = [];
  for (const entry of before.previous) {
    if (kept.has(entry)) continue;
    remove.push(sessionName(entry.baseKey));
    for (const [name, page] of pagesIfReadable(entry)) oldPages.set(page, name);
  }
  const writePages = (state: SessionState): void => {
    for (const [name, page] of pagesOf(state)) {
      live.add(name);
      if (!oldPages.has(page)) write.set(name, copyPage(page));
    }
  };
  if (record.current) writePages(record.current);
  for (const entry of record.previous) {
    if (known.has(entry)) continue;
    const state = entry.load();
    write.set(sessionName(entry.baseKey), concat(Uint8Array.of(RECORD_VERSION), ...sessionFields(state)));
    writePages(state);
  }
  for (const name of oldPages.values()) if (!live.has(name)) remove.push(name);
  return { main: encodeMain(record), write, remove: remove.filter((name) => !write.has(name)) };
}

/** A whole record as one byte string, archived sessions and skipped keys included. Secret. @throws {MiyuError} ERR_STORE_CORRUPT */
export function encodeSessionRecordWhole(record: SessionRecord): Bytes {
  const { main, write } = encodeSessionRecord(record, EMPTY_SESSION_RECORD);
  const parts = [...write].flatMap(([name, bytes]) => [lp(utf8(name)), lp32(bytes)]);
  return concat(Uint8Array.of(RECORD_VERSION), lp32(main), u32be(write.size), ...parts);
}

/** Opposite of {@link encodeSessionRecordWhole}; the result owns its bytes. @throws {MiyuError} ERR_VERSION, ERR_STORE_CORRUPT (also later, when a damaged part is used) */
export function decodeSessionRecordWhole(bytes: Uint8Array): SessionRecord {
  return undamaged(bytes, (reader) => {
    const main = reader.lp32();
    const stored = new Map<string, Bytes>();
    for (let left = reader.u32(); left > 0; left--) stored.set(reader.text(), reader.lp32());
    return decodeSessionRecord(main, { parts: (names) => names.map((name) => stored.get(name)) });
  });
}

function encodeMain(record: SessionRecord): Bytes {
  const { current, previous } = record;
  const archived = previous.flatMap(({ version, baseKey }) => [Uint8Array.of(version), baseKey]);
  const session = current ? [Uint8Array.of(RECORD_VERSION, 1), ...sessionFields(current)] : [Uint8Array.of(RECORD_VERSION, 0)];
  return concat(...session, Uint8Array.of(previous.length), ...archived);
}

function sessionFields(state: SessionState): Uint8Array[] {
  const { senderChain, pendingPreKey, receiverChains } = state;
  return [
    Uint8Array.of(state.version),
    state.localIdentityKey,
    state.remoteIdentityKey,
    state.baseKey,
    u32be(state.localRegistrationId),
    u32be(state.remoteRegistrationId),
    state.rootKey,
    u32be(state.previousCounter),
    senderChain.ratchetKeyPair.publicKey,
    senderChain.ratchetKeyPair.privateKey,
    senderChain.chainKey,
    u32be(senderChain.index),
    ...pendingFields(pendingPreKey),
    Uint8Array.of(receiverChains.length),
    ...receiverChains.flatMap(chainFields),
  ];
}

function pendingFields(pending: PendingPreKey | undefined): Uint8Array[] {
  if (!pending) return [Uint8Array.of(0)];
  const { oneTimePreKeyId, signedPreKeyId, createdAt } = pending;
  const oneTime = oneTimePreKeyId === undefined ? [Uint8Array.of(1)] : [Uint8Array.of(2), u32be(oneTimePreKeyId)];
  return [...oneTime, u32be(signedPreKeyId), u64be(createdAt)];
}

function chainFields(chain: ReceiverChain): Uint8Array[] {
  const pages = chain.skipped.flatMap(({ number, count }) => [u32be(number), Uint8Array.of(count)]);
  return [chain.ratchetKey, chain.chainKey, u32be(chain.index), Uint8Array.of(chain.skipped.length >>> 8, chain.skipped.length), ...pages];
}

function readSession(reader: Reader, parts: SessionParts): SessionState {
  const version = readSessionVersion(reader);
  const localIdentityKey = readPublicKey(reader);
  const remoteIdentityKey = readPublicKey(reader);
  const baseKey = readPublicKey(reader);
  const localRegistrationId = reader.u32();
  const remoteRegistrationId = reader.u32();
  const rootKey = reader.bytes(SECRET_LENGTH);
  const previousCounter = reader.u32();
  const publicKey = readPublicKey(reader);
  const privateKey = reader.bytes(PRIVATE_KEY_LENGTH);
  const senderChain = { ratchetKeyPair: { publicKey, privateKey }, chainKey: reader.bytes(SECRET_LENGTH), index: reader.u32() };
  const pendingPreKey = readPending(reader);
  const count = reader.u8();
  if (count > MAX_RECEIVER_CHAINS) reader.fail();
  const session = sessionName(baseKey).slice(2);
  const receiverChains = Array.from({ length: count }, () => readChain(reader, session, parts));
  return {
    version,
    localIdentityKey,
    remoteIdentityKey,
    rootKey,
    previousCounter,
    senderChain,
    receiverChains,
    ...(pendingPreKey && { pendingPreKey }),
    remoteRegistrationId,
    localRegistrationId,
    baseKey,
  };
}

function readPending(reader: Reader): PendingPreKey | undefined {
  const kind = reader.u8();
  if (kind > 2) reader.fail();
  if (kind === 0) return undefined;
  const oneTime = kind === 2 ? { oneTimePreKeyId: reader.u32() } : {};
  return { ...oneTime, signedPreKeyId: reader.u32(), createdAt: reader.u64() };
}

function readChain(reader: Reader, session: string, parts: SessionParts): ReceiverChain {
  const ratchetKey = readPublicKey(reader);
  const chainKey = reader.bytes(SECRET_LENGTH);
  const index = reader.u32();
  const skipped: SkippedPage[] = [];
  let total = 0;
  for (let left = reader.u16(); left > 0; left--) {
    const number = reader.u32();
    const count = reader.u8();
    total += count;
    const ascending = number <= LAST_PAGE && number > (skipped.at(-1)?.number ?? -1);
    if (!ascending || count === 0 || count > PAGE_COUNTERS || total > MAX_SKIPPED_KEYS) reader.fail();
    skipped.push({ number, count, content: { name: pageName(session, ratchetKey, number), parts } });
  }
  return { ratchetKey, chainKey, index, skipped };
}

/** Loads archived sessions: the first call asks for all of them; each is read once, so that its pages keep their identity. */
function archiveLoader(names: readonly string[], parts: SessionParts): (at: number) => SessionState {
  let found: readonly (Uint8Array | undefined)[] | undefined;
  const states: SessionState[] = [];
  return (at) => {
    const loaded = states[at];
    if (loaded) return loaded;
    found ??= parts.parts(names);
    const bytes = found[at];
    if (bytes === undefined) throw new MiyuError("ERR_STORE_CORRUPT", { what: WHAT });
    const state = undamaged(bytes, (reader) => readSession(reader, parts));
    if (sessionName(state.baseKey) !== names[at]) throw new MiyuError("ERR_STORE_CORRUPT", { what: WHAT });
    states[at] = state;
    return state;
  };
}

/** Reads to the end of `bytes`, which begin with the record version; what does not parse is a damaged record. */
function undamaged<T>(bytes: Uint8Array, read: (reader: Reader) => T): T {
  try {
    const reader = new Reader(bytes, WHAT);
    const version = reader.u8();
    if (version !== RECORD_VERSION) throw new MiyuError("ERR_VERSION", { what: WHAT, version });
    const value = read(reader);
    reader.end();
    return value;
  } catch (error) {
    if (MiyuError.is(error, "ERR_DECODE")) throw new MiyuError("ERR_STORE_CORRUPT", { what: WHAT });
    throw error;
  }
}

function flag(reader: Reader): boolean {
  const value = reader.u8();
  if (value > 1) reader.fail();
  return value === 1;
}

function readSessionVersion(reader: Reader): 3 {
  const version = reader.u8();
  if (version !== CLASSIC_VERSION) throw new MiyuError("ERR_VERSION", { what: "session", version });
  return version;
}

function readPublicKey(reader: Reader): Bytes {
  const key = reader.bytes(PUBLIC_KEY_LENGTH);
  if (key[0] !== PUBLIC_KEY_TYPE) reader.fail();
  return key;
}

/** `s/` and the base key, which no other session of the record has. */
function sessionName(baseKey: Uint8Array): string {
  return `s/${toBase64url(baseKey.subarray(1))}`;
}

function pageName(session: string, ratchetKey: Uint8Array, number: number): string {
  return `k/${session}/${toBase64url(ratchetKey.subarray(1))}/${String(number)}`;
}

function* pagesOf(state: SessionState): Generator<readonly [name: string, page: SkippedPage]> {
  for (const { ratchetKey, skipped } of state.receiverChains) {
    if (skipped.length === 0) continue;
    const session = sessionName(state.baseKey).slice(2);
    for (const page of skipped) yield [pageName(session, ratchetKey, page.number), page];
  }
}

function pagesIfReadable(entry: ArchivedSession): Iterable<readonly [name: string, page: SkippedPage]> {
  try {
    return pagesOf(entry.load());
  } catch (error) {
    // Its pages cannot be named any more and stay behind.
    if (MiyuError.is(error, "ERR_STORE_CORRUPT") || MiyuError.is(error, "ERR_VERSION")) return [];
    throw error;
  }
}

function copyPage(page: SkippedPage): Bytes {
  return copy(loadPages([page])[0] ?? new Uint8Array());
}
