/**
 * The vault: a store over any medium that seals every record and hides its identifier. A record that was changed, moved, taken from
 * another store or given another revision does not open: ERR_STORE_CORRUPT for that record, the others stay readable. What it does
 * not notice: a whole old frame put back in its own place.
 * Loss is always said: a vault whose header or device key is gone is ERR_STORE_LOST, never a silently new one.
 */
import { wipe, type Bytes } from "../bytes.ts";
import type { Crypto, Random } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import { kindPrefix, NONCE_LENGTH, openRecord, openRecordAt, placeOf, sealRecord, type OpenedRecord, type RecordPlace, type VaultKeys } from "./sealedRecord.ts";
import { isSameStore, openHeader } from "./vaultHeader.ts";
import type { ListedRecord, ListOptions, Protection, RawStore, RawView, RecordKey, RecordKind, Store, StoreView } from "./types.ts";

/** Raw key of the header. Not hexadecimal, so no record has it. */
export const HEADER_KEY = "vault";

/** Raw keys of records: kind byte and 16-byte keyed hash in hexadecimal. */
const RECORD_KEY = /^[0-9a-f]{34}$/;

/** Nonces drawn at once: 256 of 24 bytes. Asking the system for each alone costs more than sealing the record. */
const NONCES_DRAWN = 256;

/** A store whose records are sealed. */
export interface Vault extends Store {
  /** What guards the key that opens the vault. */
  readonly protection: Protection;
}

/**
 * Opens the vault of `raw`, or makes one if `raw` is empty. Two openings at once end with the same key. The vault owns `raw` from
 * now on: its `close` closes `raw`. If opening fails, `raw` stays open and is the caller's.
 * @throws {MiyuError} ERR_STORE_LOST if the device key is gone, or there are records but no header; ERR_STORE_CORRUPT for a damaged
 * header; ERR_SCHEMA for one of a newer release; ERR_LOCKED if no slot of this device opens it; and what `raw` says
 */
export async function openVault(raw: RawStore, crypto: Crypto, random: Random): Promise<Vault> {
  const header = await loadHeader(raw, crypto, random);
  const keys = await openHeader(crypto, header, raw.keySlot);
  return new SealedStore(raw, { crypto, keys, header, nonce: noncePool(random) });
}

/** What sealing and opening takes. */
interface Opened {
  readonly crypto: Crypto;
  readonly keys: VaultKeys;
  /** The header as it was when the vault was opened. */
  readonly header: Bytes;
  /** 24 bytes never returned before. */
  readonly nonce: () => Bytes;
}

/** The committed header, ours or that of whoever was first. */
async function loadHeader(raw: RawStore, crypto: Crypto, random: Random): Promise<Bytes> {
  const read = (): Promise<Bytes | undefined> => raw.transact([HEADER_KEY], (view) => view.get(HEADER_KEY));
  const found = await read();
  if (found !== undefined) return found;
  // A snapshot: if another tab makes the vault meanwhile, it shows the header together with the records.
  const keys = (await raw.list("")).map(([key]) => key);
  if (!keys.includes(HEADER_KEY) && keys.some((key) => RECORD_KEY.test(key))) throw lost();
  let fresh: Bytes;
  try {
    const { createHeader } = await import("./newVault.ts");
    fresh = await createHeader(crypto, random, raw.keySlot);
  } catch (error) {
    // The slot refuses to begin anew: the vault is lost, unless another tab made one just now.
    const made = MiyuError.is(error, "ERR_STORE_LOST") ? await read() : undefined;
    if (made === undefined) throw error;
    return made;
  }
  return raw.transact([HEADER_KEY], (view) => {
    const first = view.get(HEADER_KEY);
    if (first !== undefined) return first;
    view.put(HEADER_KEY, fresh);
    return fresh;
  });
}

class SealedStore implements Vault {
  readonly protection: Protection;
  readonly #raw: RawStore;
  readonly #opened: Opened;
  #closing: Promise<void> | undefined;

  constructor(raw: RawStore, opened: Opened) {
    this.protection = raw.keySlot.protection;
    this.#raw = raw;
    this.#opened = opened;
  }

  async transact<T>(keys: readonly RecordKey[], fn: (view: StoreView) => T): Promise<T> {
    this.#checkOpen();
    const places = new Places(this.#opened);
    const rawKeys = keys.map((key) => places.of(key).rawKey);
    return this.#raw.transact([HEADER_KEY, ...rawKeys], (view) => {
      this.#checkHeader(view);
      return fn(new SealedView(this.#opened, places, view));
    });
  }

  async list(kind: RecordKind, options: ListOptions = {}): Promise<readonly ListedRecord[]> {
    this.#checkOpen();
    const { crypto, keys } = this.#opened;
    const { after, limit, onDamaged } = options;
    const frames = await this.#raw.list(kindPrefix(kind));
    await this.#raw.transact([HEADER_KEY], (view) => {
      this.#checkHeader(view);
    });
    const records: ListedRecord[] = [];
    for (const [rawKey, frame] of frames) {
      try {
        const { id, value } = openRecord(crypto, keys, rawKey, frame);
        records.push({ id, value });
      } catch (error) {
        if (onDamaged === undefined || !MiyuError.is(error, "ERR_STORE_CORRUPT")) throw error;
        onDamaged(error);
      }
    }
    const wanted = records.filter(({ id }) => after === undefined || id > after).sort((a, b) => (a.id < b.id ? -1 : 1));
    return wanted.slice(0, limit);
  }

  close(): Promise<void> {
    this.#closing ??= this.#raw.close().finally(() => {
      const { keys } = this.#opened;
      wipe(keys.indexKey, ...keys.recordKeys.values());
    });
    return this.#closing;
  }

  /** Else a database wiped under us, or made anew by another tab, would take records that no key opens. */
  #checkHeader(view: RawView): void {
    const header = view.get(HEADER_KEY);
    if (header === undefined || !isSameStore(this.#opened.header, header)) throw lost();
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new MiyuError("ERR_CLOSED", { what: "store" });
  }
}

/** Places of the records of one transaction, each hashed once. */
class Places {
  readonly #opened: Opened;
  readonly #known = new Map<string, RecordPlace>();

  constructor(opened: Opened) {
    this.#opened = opened;
  }

  of(key: RecordKey): RecordPlace {
    const name = `${key.kind} ${key.id}`;
    let place = this.#known.get(name);
    if (place === undefined) {
      place = placeOf(this.#opened.crypto, this.#opened.keys, key);
      this.#known.set(name, place);
    }
    return place;
  }
}

class SealedView implements StoreView {
  readonly #opened: Opened;
  readonly #places: Places;
  readonly #raw: RawView;
  /** Revisions seen or written here, by raw key. */
  readonly #revisions = new Map<string, number>();

  constructor(opened: Opened, places: Places, raw: RawView) {
    this.#opened = opened;
    this.#places = places;
    this.#raw = raw;
  }

  get(key: RecordKey): Bytes | undefined {
    return this.#open(this.#places.of(key))?.value;
  }

  put(key: RecordKey, value: Uint8Array): void {
    if (!(value instanceof Uint8Array)) throw new MiyuError("ERR_USAGE", { reason: "a record is a Uint8Array" });
    const { crypto, keys, nonce } = this.#opened;
    const place = this.#places.of(key);
    const revision = this.#revision(place) + 1;
    this.#raw.put(place.rawKey, sealRecord(crypto, keys, place, revision, value, nonce()));
    this.#revisions.set(place.rawKey, revision);
  }

  remove(key: RecordKey): void {
    this.#raw.remove(this.#places.of(key).rawKey);
  }

  need(...keys: readonly RecordKey[]): void {
    this.#raw.need(...keys.map((key) => this.#places.of(key).rawKey));
  }

  afterCommit(hook: () => void): void {
    this.#raw.afterCommit(hook);
  }

  #open(place: RecordPlace): OpenedRecord | undefined {
    const frame = this.#raw.get(place.rawKey);
    if (frame === undefined) return undefined;
    const opened = openRecordAt(this.#opened.crypto, this.#opened.keys, place, frame);
    this.#revisions.set(place.rawKey, opened.revision);
    return opened;
  }

  /** The revision written so far, authenticated: a damaged record is not silently written over (`remove` it first). */
  #revision(place: RecordPlace): number {
    const known = this.#revisions.get(place.rawKey);
    if (known !== undefined) return known;
    const opened = this.#open(place);
    wipe(opened?.value);
    return opened?.revision ?? 0;
  }
}

/** Nonces of 24 random bytes, drawn many at a time. */
function noncePool(random: Random): () => Bytes {
  let pool = new Uint8Array(0);
  let at = 0;
  return () => {
    if (at >= pool.length) {
      pool = random(NONCES_DRAWN * NONCE_LENGTH);
      at = 0;
    }
    at += NONCE_LENGTH;
    return pool.slice(at - NONCE_LENGTH, at);
  };
}

function lost(): MiyuError<"ERR_STORE_LOST"> {
  return new MiyuError("ERR_STORE_LOST", { what: "vault header" });
}
