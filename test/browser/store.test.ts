/** The store contract in a real browser, and what only IndexedDB can do wrong. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { cdp, commands, server } from "vitest/browser";
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { MiyuError } from "../../src/errors.ts";
import { indexedDbStore } from "../../src/store/indexeddb.ts";
import type { RawStore, RecordKey } from "../../src/store/types.ts";
import { openVault, type Vault } from "../../src/store/vault.ts";
import { storeContract } from "../store/store.contract.ts";

let count = 0;
const freshName = (): string => `miyu-test-${String(Date.now())}-${String(count++)}`;
const random = (length: number): Uint8Array<ArrayBuffer> => crypto.getRandomValues(new Uint8Array(length));

storeContract("indexeddb", () => {
  const name = freshName();
  return Promise.resolve({
    open: () => Promise.resolve(indexedDbStore({ name })),
    destroy: () => deleteDatabase(name),
    loseDeviceKey: () =>
      edit(name, (records) => {
        records.delete(IDBKeyRange.bound(".", ".\uffff"));
      }),
  });
});

describe("indexeddb", () => {
  const key: RecordKey = { kind: "session", id: "alice/1" };
  let name: string;
  let open: RawStore[];

  beforeEach(() => {
    name = freshName();
    open = [];
  });
  afterEach(async () => {
    await Promise.all(open.map((raw) => raw.close()));
    await deleteDatabase(name);
  });

  const openRaw = (): RawStore => {
    const raw = indexedDbStore({ name });
    open.push(raw);
    return raw;
  };
  const openSealed = (): Promise<Vault> => openVault(openRaw(), nobleCrypto, random);

  test("the device key is a CryptoKey that cannot be exported, in a database with one object store", async () => {
    const vault = await openSealed();
    expect(vault.protection).toBe("crypto-key");
    const { stores, deviceKey } = await inspect(name);
    expect(stores).toEqual(["records"]);
    expect(deviceKey).toBeInstanceOf(CryptoKey);
    expect((deviceKey as CryptoKey).extractable).toBe(false);
    await expect(crypto.subtle.exportKey("raw", deviceKey as CryptoKey)).rejects.toThrow();
  });

  test("where a CryptoKey cannot be kept, the vault key is kept in a record, and protection says so", async () => {
    const subtle = Object.getOwnPropertyDescriptor(Crypto.prototype, "subtle");
    try {
      // As in a page without a secure context.
      Object.defineProperty(Crypto.prototype, "subtle", { configurable: true, get: () => undefined });
      const vault = await openSealed();
      expect(vault.protection).toBe("key-record");
      await vault.transact([key], (view) => { view.put(key, Uint8Array.of(1)); });
      await vault.close();
      const again = await openSealed();
      expect(again.protection).toBe("key-record");
      expect(await again.transact([key], (view) => view.get(key))).toEqual(Uint8Array.of(1));
    } finally {
      if (subtle !== undefined) Object.defineProperty(Crypto.prototype, "subtle", subtle);
    }
    // And it stays so where one could be kept: the header says how its key is wrapped.
    const later = await openSealed();
    expect(later.protection).toBe("key-record");
    await later.close();
    await edit(name, (records) => {
      records.delete(IDBKeyRange.bound(".key-", ".key-\uffff"));
    });
    expect(await codeOf(openSealed())).toBe("ERR_STORE_LOST");
  });

  test.each(["refuses it", "takes it and keeps null"])("a browser that %s: the CryptoKey is not relied on", async (how) => {
    const put = IDBObjectStore.prototype.put;
    let refused = 0;
    try {
      IDBObjectStore.prototype.put = function (this: IDBObjectStore, value: unknown, ...rest: [IDBValidKey?]) {
        if (!(value instanceof CryptoKey)) return put.call(this, value, ...rest);
        refused++;
        if (how === "refuses it") throw new DOMException("a key cannot be cloned", "DataCloneError");
        return put.call(this, null, ...rest);
      };
      const vault = await openSealed();
      expect(vault.protection).toBe("key-record");
      await vault.transact([key], (view) => { view.put(key, Uint8Array.of(1)); });
    } finally {
      IDBObjectStore.prototype.put = put;
    }
    expect(refused).toBe(1);
    expect(await (await openSealed()).transact([key], (view) => view.get(key))).toEqual(Uint8Array.of(1));
  });

  test("a tab that is late with its device key does not replace the one in use", async () => {
    const late = gate(SubtleCrypto.prototype, "generateKey");
    const second = openSealed();
    await late.reached;
    const first = await openSealed();
    await first.transact([key], (view) => { view.put(key, Uint8Array.of(1)); });
    late.release();
    for (const vault of [await second, await openSealed()]) expect(await vault.transact([key], (view) => view.get(key))).toEqual(Uint8Array.of(1));
  });

  test("a tab that is late with its device key, but first with the header, wraps under the key that was kept", async () => {
    const lateKey = gate(SubtleCrypto.prototype, "generateKey");
    const second = openSealed();
    await lateKey.reached;
    const lateHeader = gate(SubtleCrypto.prototype, "encrypt");
    const first = openSealed();
    await lateHeader.reached;
    lateKey.release();
    await (await second).transact([key], (view) => { view.put(key, Uint8Array.of(1)); });
    lateHeader.release();
    for (const vault of [await first, await openSealed()]) expect(await vault.transact([key], (view) => view.get(key))).toEqual(Uint8Array.of(1));
  });

  test("a second tab races on the same vault: nothing is lost, both get the same key", async () => {
    const increments = 300;
    const there = commands.inNewTab<number>("/test/browser/blank.html", `
      const [{ indexedDbStore }, { openVault }, { nobleCrypto }] = await Promise.all(
        ["store/indexeddb", "store/vault", "crypto/noble"].map((path) => import("/src/" + path + ".ts")));
      const vault = await openVault(indexedDbStore({ name: ${JSON.stringify(name)} }), nobleCrypto, (n) => crypto.getRandomValues(new Uint8Array(n)));
      const key = ${JSON.stringify(key)};
      let done = 0;
      while (done < ${String(increments)}) {
        await vault.transact([key], (view) => {
          const value = view.get(key) ?? new Uint8Array(4);
          const number = new DataView(value.buffer);
          number.setUint32(0, number.getUint32(0) + 1);
          view.put(key, value);
        });
        done++;
      }
      await vault.close();
      return done;
    `);
    const vault = await openSealed();
    let thereDone = false;
    void there.finally(() => (thereDone = true));
    let here = 0;
    while (here < increments || !thereDone) {
      await vault.transact([key], (view) => {
        const value = view.get(key) ?? new Uint8Array(4);
        const number = new DataView(value.buffer);
        number.setUint32(0, number.getUint32(0) + 1);
        view.put(key, value);
      });
      here++;
    }
    expect(await there).toBe(increments);
    const total = await vault.transact([key], (view) => new DataView((view.get(key) ?? new Uint8Array(4)).buffer).getUint32(0));
    expect(total).toBe(here + increments);
  });

  test("deleting the database under an open vault does not hang, and is told as loss", async () => {
    const vault = await openSealed();
    await vault.transact([key], (view) => { view.put(key, Uint8Array.of(1)); });
    await deleteDatabase(name);
    expect(await codeOf(vault.transact([key], (view) => { view.put(key, Uint8Array.of(2)); }))).toBe("ERR_STORE_LOST");
    expect(await codeOf(vault.list("session"))).toBe("ERR_STORE_LOST");
    expect((await inspect(name)).keys).toEqual([]);
  });

  test("transactions that run while the database is being deleted are committed or refused, never half", async () => {
    const raw = openRaw();
    const [a, b] = ["02" + "aa".repeat(16), "02" + "bb".repeat(16)];
    const running = Array.from({ length: 200 }, (_, i) => raw.transact([a, b], (view) => {
      view.put(a, Uint8Array.of(i));
      view.put(b, Uint8Array.of(i));
      return i;
    }));
    await running[0];
    await deleteDatabase(name);
    await Promise.allSettled(running);
    const rows = await raw.list("");
    expect([0, 2]).toContain(rows.length);
    expect(rows[0]?.[1]).toEqual(rows[1]?.[1]);
  });

  test("an upgrade by a newer release does not hang on an open store, which then says ERR_SCHEMA", async () => {
    const raw = openRaw();
    await raw.transact([], () => undefined);
    const upgraded = await openDatabase(name, 7);
    upgraded.close();
    for (const store of [raw, openRaw()]) {
      const error: unknown = await store.list("").catch((reason: unknown) => reason);
      expect(MiyuError.is(error, "ERR_SCHEMA") && error.detail).toEqual({ found: 7, known: 1 });
    }
  });

  test("a connection that is closed from outside is opened again", async () => {
    const transaction = IDBDatabase.prototype.transaction;
    const raw = openRaw();
    const record = "02" + "aa".repeat(16);
    await raw.transact([record], (view) => { view.put(record, Uint8Array.of(1)); });
    let closed = 0;
    try {
      // As Safari does to a page that slept: the connection is closed, and nobody is told.
      IDBDatabase.prototype.transaction = function (this: IDBDatabase, ...rest: Parameters<typeof transaction>) {
        if (closed++ === 0) this.close();
        return transaction.apply(this, rest);
      };
      expect(await raw.transact([record], (view) => view.get(record))).toEqual(Uint8Array.of(1));
      expect(closed).toBe(2);
      IDBDatabase.prototype.transaction = function (this: IDBDatabase, ...rest: Parameters<typeof transaction>) {
        this.close();
        return transaction.apply(this, rest);
      };
      expect(await codeOf(raw.transact([record], (view) => view.get(record)))).toBe("ERR_STORE_UNAVAILABLE");
    } finally {
      IDBDatabase.prototype.transaction = transaction;
    }
    expect(await raw.transact([record], (view) => view.get(record))).toEqual(Uint8Array.of(1));
  });

  test("a write the browser refuses takes the writes before it back", async () => {
    const raw = openRaw();
    const records = ["02" + "aa".repeat(16), "02" + "bb".repeat(16)];
    const put = IDBObjectStore.prototype.put;
    let writes = 0;
    try {
      IDBObjectStore.prototype.put = function (this: IDBObjectStore, ...rest: Parameters<typeof put>) {
        if (++writes === 2) throw new DOMException("no", "DataError");
        return put.apply(this, rest);
      };
      expect(await codeOf(raw.transact(records, (view) => { for (const record of records) view.put(record, Uint8Array.of(1)); }))).toBe("ERR_STORE_UNAVAILABLE");
    } finally {
      IDBObjectStore.prototype.put = put;
    }
    expect(writes).toBe(2);
    expect(await raw.list("")).toEqual([]);
  });

  test("what the browser refuses to commit is written nowhere, and every call of the batch is told", async () => {
    const raw = openRaw();
    const [a, b] = ["02" + "aa".repeat(16), "02" + "bb".repeat(16)];
    await raw.transact([a], (view) => { view.put(a, Uint8Array.of(1)); });
    const commit = IDBTransaction.prototype.commit;
    const outcomes: string[] = [];
    let hooks = 0;
    try {
      IDBTransaction.prototype.commit = function (this: IDBTransaction) {
        this.abort();
      };
      const jobs = [
        raw.transact([a], (view) => { view.put(a, Uint8Array.of(2)); view.afterCommit(() => hooks++); }),
        raw.transact([a], () => { throw new RangeError("own"); }),
        raw.transact([b], (view) => { view.put(b, Uint8Array.of(2)); }),
      ];
      for (const job of jobs) outcomes.push(await codeOf(job));
    } finally {
      IDBTransaction.prototype.commit = commit;
    }
    expect(outcomes).toEqual(["ERR_STORE_UNAVAILABLE", "ERR_STORE_UNAVAILABLE", "ERR_STORE_UNAVAILABLE"]);
    expect(hooks).toBe(0);
    expect((await raw.list("")).map(([rawKey, value]) => [rawKey, ...value])).toEqual([[a, 1]]);
  });

  test.skipIf(server.browser !== "chromium")("out of space: ERR_QUOTA and nothing is written (only Chromium lets a test set the quota)", async () => {
    // An origin that has not used its storage yet: Chromium looks at the quota again only when what it remembers does not suffice.
    const elsewhere = new URL("/test/browser/blank.html", location.href);
    elsewhere.hostname = elsewhere.hostname === "localhost" ? "127.0.0.1" : "localhost";
    await cdp().send("Storage.overrideQuotaForOrigin", { origin: elsewhere.origin, quotaSize: 100_000 });
    try {
      const seen = await commands.inNewTab<unknown>(elsewhere.href, `
        const [{ indexedDbStore }, { openVault }, { nobleCrypto }] = await Promise.all(
          ["store/indexeddb", "store/vault", "crypto/noble"].map((path) => import("/src/" + path + ".ts")));
        const vault = await openVault(indexedDbStore({ name: ${JSON.stringify(name)} }), nobleCrypto, (n) => crypto.getRandomValues(new Uint8Array(n)));
        const [session, outbox] = [{ kind: "session", id: "alice/1" }, { kind: "outbox", id: "1" }];
        await vault.transact([session], (view) => view.put(session, Uint8Array.of(1)));
        let hooks = 0;
        const write = (size) => vault.transact([session, outbox], (view) => {
          view.put(session, Uint8Array.of(2));
          view.put(outbox, new Uint8Array(size));
          view.afterCommit(() => hooks++);
        }).then(() => "fulfilled", (error) => error.code);
        const codes = await Promise.all([write(1_000_000), write(1_000_000)]);
        const kept = [...(await vault.list("session")), ...(await vault.list("outbox"))].map(({ id, value }) => [id, ...value]);
        const afterwards = await write(10);
        await vault.close();
        return { codes, kept, afterwards, hooks };
      `);
      expect(seen).toEqual({ codes: ["ERR_QUOTA", "ERR_QUOTA"], kept: [["alice/1", 1]], afterwards: "fulfilled", hooks: 1 });
    } finally {
      await cdp().send("Storage.overrideQuotaForOrigin", { origin: elsewhere.origin });
    }
  });

  test("every transaction is strict, and only one object store is in it", async () => {
    const transaction = IDBDatabase.prototype.transaction;
    const seen: unknown[][] = [];
    try {
      IDBDatabase.prototype.transaction = function (this: IDBDatabase, ...rest: Parameters<typeof transaction>) {
        seen.push(rest);
        return transaction.apply(this, rest);
      };
      const vault = await openSealed();
      await vault.transact([key], (view) => { view.put(key, Uint8Array.of(1)); });
    } finally {
      IDBDatabase.prototype.transaction = transaction;
    }
    const writes = seen.filter(([, mode]) => mode === "readwrite");
    expect(writes.length).toBeGreaterThanOrEqual(3);
    for (const [scope, , options] of writes) expect([scope, options]).toEqual(["records", { durability: "strict" }]);
  });
});

/** Holds the first call of an asynchronous method until it is released; later calls pass. */
function gate(target: SubtleCrypto, method: "generateKey" | "encrypt"): { readonly reached: Promise<void>; release(): void } {
  const original = Reflect.get(target, method) as (...rest: unknown[]) => Promise<unknown>;
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => { release = resolve; });
  const reached = new Promise<void>((resolve) => {
    Reflect.set(target, method, async function (this: SubtleCrypto, ...rest: unknown[]) {
      Reflect.set(target, method, original);
      resolve();
      await released;
      return original.apply(this, rest);
    });
  });
  return { reached, release };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "fulfilled",
    (error: unknown) => (MiyuError.is(error) ? error.code : String(error)),
  );
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => { resolve(request.result); };
    request.onerror = () => { reject(request.error ?? new Error("request failed")); };
  });
}

const openDatabase = (name: string, version?: number): Promise<IDBDatabase> => done(indexedDB.open(name, version));
const deleteDatabase = async (name: string): Promise<void> => { await done(indexedDB.deleteDatabase(name)); };

async function edit(name: string, change: (records: IDBObjectStore) => void): Promise<void> {
  const database = await openDatabase(name);
  try {
    const transaction = database.transaction("records", "readwrite");
    change(transaction.objectStore("records"));
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => { resolve(); };
      transaction.onabort = () => { reject(transaction.error ?? new Error("aborted")); };
    });
  } finally {
    database.close();
  }
}

async function inspect(name: string): Promise<{ stores: string[]; keys: IDBValidKey[]; deviceKey: unknown }> {
  const database = await openDatabase(name);
  try {
    const records = database.transaction("records").objectStore("records");
    const [keys, deviceKey] = await Promise.all([done(records.getAllKeys()), done<unknown>(records.get(".device-key"))]);
    return { stores: [...database.objectStoreNames], keys, deviceKey };
  } finally {
    database.close();
  }
}
