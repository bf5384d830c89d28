/**
 * A store in a directory, for Node: LevelDB through `classic-level` (an optional dependency, loaded on first use). LevelDB lets in one
 * process only; inside the process all stores on one directory share one database and one queue. Every batch is synced to the disk
 * before its results are given out.
 *
 *   DIRECTORY/             mode 0700, for this store alone
 *   DIRECTORY/device.key   mode 0600, see nodeKey.ts
 *   DIRECTORY/records/     LevelDB
 */
import { chmod, mkdir, realpath } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { ClassicLevel } from "classic-level";
import type { Bytes } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import { JobQueue } from "./batch.ts";
import { openHandle } from "./handle.ts";
import { fileKeySlot } from "./nodeKey.ts";
import type { KeySlot, RawStore } from "./types.ts";

type Database = ClassicLevel<string, Uint8Array>;

/** An open directory, shared by the stores of this process that use it. */
interface OpenDirectory {
  readonly database: Database;
  readonly queue: JobQueue;
  readonly keySlot: KeySlot;
}

interface SharedDirectory {
  readonly opening: Promise<OpenDirectory>;
  users: number;
}

/** What this process has open, by real path. LevelDB's lock is per process, so it has to be known here. */
const directories = new Map<string, SharedDirectory>();

/** Directories whose database is being closed: a new user waits, else it would meet our own lock. */
const closing = new Map<string, Promise<void>>();

/** Where a {@link nodeStore} lives. */
export interface NodeStoreOptions {
  /** Made if it is not there (mode 0700). Nothing else should be in it. */
  readonly directory: string;
}

/**
 * A store in a directory, opened on first use. Calls reject with ERR_USAGE if `classic-level` is not installed and with
 * ERR_STORE_UNAVAILABLE while another process has the directory open. Protection: `"key-file"`.
 */
export function nodeStore(options: NodeStoreOptions): RawStore {
  let using: { readonly path: string; readonly shared: SharedDirectory } | undefined;
  let acquiring: Promise<OpenDirectory> | undefined;

  async function acquire(): Promise<OpenDirectory> {
    const path = await makeDirectory(options.directory);
    await closing.get(path);
    const shared = directories.get(path) ?? { opening: openDirectory(path), users: 0 };
    directories.set(path, shared);
    shared.users++;
    using = { path, shared };
    try {
      return await shared.opening;
    } catch (error) {
      // The next call tries again from the start.
      if (directories.get(path) === shared) directories.delete(path);
      using = undefined;
      acquiring = undefined;
      throw error;
    }
  }

  function open(): Promise<OpenDirectory> {
    acquiring ??= acquire().catch((error: unknown) => {
      acquiring = undefined;
      throw storeError(error);
    });
    return acquiring;
  }

  const keySlot: KeySlot = {
    protection: "key-file",
    wrap: async (key) => (await open()).keySlot.wrap(key).catch(rethrow),
    unwrap: async (wrapped) => (await open()).keySlot.unwrap(wrapped).catch(rethrow),
  };

  const store: RawStore = {
    transact: async (keys, fn) => {
      const named = [...keys];
      return (await open()).queue.submit(named, fn);
    },
    list: async (prefix) => listRecords((await open()).database, prefix),
    keySlot,
    async close() {
      const held = using;
      using = undefined;
      if (held !== undefined) await release(held.path, held.shared);
    },
  };
  return openHandle(store, "node store");
}

async function release(path: string, shared: SharedDirectory): Promise<void> {
  shared.users--;
  if (shared.users > 0 || directories.get(path) !== shared) return;
  directories.delete(path);
  const closed = shared.opening
    .then(({ database }) => database.close())
    .catch(rethrow)
    .finally(() => closing.delete(path));
  closing.set(path, closed);
  await closed;
}

async function makeDirectory(directory: string): Promise<string> {
  const path = resolve(directory);
  await mkdir(path, { recursive: true, mode: 0o700 });
  // It may have been there before, readable by others.
  await chmod(path, 0o700);
  return realpath(path);
}

async function openDirectory(path: string): Promise<OpenDirectory> {
  const { ClassicLevel } = await loadLibrary();
  const database: Database = new ClassicLevel(join(path, "records"), { keyEncoding: "utf8", valueEncoding: "view" });
  await database.open();
  const queue = new JobQueue(async (body) => {
    const writes = await body((keys) => database.getMany([...keys]).catch(rethrow));
    if (writes.size === 0) return;
    const operations = Array.from(writes, ([key, value]) => (value === undefined ? { type: "del" as const, key } : { type: "put" as const, key, value }));
    await database.batch(operations, { sync: true }).catch(rethrow);
  });
  return { database, queue, keySlot: fileKeySlot(path) };
}

async function loadLibrary(): Promise<typeof import("classic-level")> {
  try {
    return await import("classic-level");
  } catch (cause) {
    throw new MiyuError("ERR_USAGE", { reason: "the node store needs the package classic-level: npm install classic-level" }, { cause });
  }
}

async function listRecords(database: Database, prefix: string): Promise<readonly (readonly [string, Bytes])[]> {
  // An iterator reads a snapshot taken when it is made.
  const entries = await database.iterator({ gte: prefix, lt: `${prefix}\u{10ffff}` }).all().catch(rethrow);
  return entries.map(([key, value]) => [key, new Uint8Array(value)] as const);
}

function rethrow(error: unknown): never {
  throw storeError(error);
}

/** LevelDB wraps the reason a database did not open. */
function storeError(error: unknown): unknown {
  if (MiyuError.is(error)) return error;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  if (code === "LEVEL_CORRUPTION") return new MiyuError("ERR_STORE_CORRUPT", { what: "database" }, { cause: error });
  if (code === "ENOSPC" || code === "EDQUOT" || (cause instanceof Error && /no space left|quota exceeded/i.test(cause.message))) {
    return new MiyuError("ERR_QUOTA", {}, { cause: error });
  }
  const reason = code === "LEVEL_LOCKED" ? "another process has the directory open" : code;
  return new MiyuError("ERR_STORE_UNAVAILABLE", { reason }, { cause: error });
}
