/**
 * Stored form of a session record, in parts, so that a message rewrites little: the main part holds the current session and the
 * names of the archived ones; each archived session (`s/…`) and each page of skipped keys (`k/…`) is a part of its own, read
 * when it is needed. All parts are secret. Layout: docs/protocol.md. Big-endian; the first byte of every part is a version.
 */
import { concat, copy, lp, lp32, Reader, toBase64url, u32be, utf8, type Bytes } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import { PUBLIC_KEY_LENGTH } from "./keys.ts";
import { EMPTY_SESSION_RECORD, MAX_ARCHIVED_SESSIONS } from "./session.ts";
import { pageName, readPublicKey, readSession, readVersion, RecordWriter, sessionLength, writeSession, type RecordReader } from "./sessionCodec.ts";
import { loadPages } from "./skippedKeys.ts";
import type { ArchivedSession, SessionParts, SessionRecord, SessionState, SkippedPage } from "./types.ts";

const RECORD_VERSION = 1;
const WHAT = "session record";

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
    const current = reader.atMost(1) === 1 ? readSession(reader, parts) : undefined;
    const count = reader.atMost(MAX_ARCHIVED_SESSIONS);
    const names: string[] = [];
    const load = archiveLoader(names, parts);
    const previous = Array.from({ length: count }, (_, i): ArchivedSession => {
      const version = readVersion(reader);
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
    write.set(sessionName(entry.baseKey), encodeArchived(state));
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

/**
 * Opposite of {@link encodeSessionRecordWhole}; the result owns its bytes.
 * @throws {MiyuError} ERR_VERSION, ERR_STORE_CORRUPT, the latter also when a damaged part is used later
 */
export function decodeSessionRecordWhole(bytes: Uint8Array): SessionRecord {
  return undamaged(bytes, (reader) => {
    const frame = new Reader(reader.rest(), WHAT);
    const main = frame.lp32();
    const stored = new Map<string, Bytes>();
    for (let left = frame.u32(); left > 0; left--) stored.set(frame.text(), frame.lp32());
    frame.end();
    return decodeSessionRecord(main, { parts: (names) => names.map((name) => stored.get(name)) });
  });
}

/** version 1 ‖ 0, or 1 and the current session ‖ number of archived ones ‖ for each its version and base key. */
function encodeMain(record: SessionRecord): Bytes {
  const { current, previous } = record;
  const length = 3 + (current ? sessionLength(current) : 0) + previous.length * (1 + PUBLIC_KEY_LENGTH);
  const writer = new RecordWriter(length);
  writer.u8(RECORD_VERSION);
  writer.u8(current ? 1 : 0);
  if (current) writeSession(writer, current);
  writer.u8(previous.length);
  for (const { version, baseKey } of previous) {
    writer.u8(version);
    writer.bytes(baseKey);
  }
  return writer.out;
}

function encodeArchived(state: SessionState): Bytes {
  const writer = new RecordWriter(1 + sessionLength(state));
  writer.u8(RECORD_VERSION);
  writeSession(writer, state);
  return writer.out;
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

/** Reads to the end of a copy of `bytes`, which begin with the record version; what does not parse is a damaged record. */
function undamaged<T>(bytes: Uint8Array, read: (reader: RecordReader) => T): T {
  try {
    const reader = new Reader(copy(bytes), WHAT);
    reader.version(RECORD_VERSION);
    const value = read(reader);
    reader.end();
    return value;
  } catch (error) {
    if (MiyuError.is(error, "ERR_DECODE")) throw new MiyuError("ERR_STORE_CORRUPT", { what: WHAT });
    throw error;
  }
}

/** `s/` and the base key, which no other session of the record has. */
function sessionName(baseKey: Uint8Array): string {
  return `s/${toBase64url(baseKey.subarray(1))}`;
}

function* pagesOf(state: SessionState): Generator<readonly [name: string, page: SkippedPage]> {
  for (const { ratchetKey, skipped } of state.receiverChains) {
    for (const page of skipped) yield [pageName(state.baseKey, ratchetKey, page.number), page];
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
