/**
 * What every store must do: a medium below the vault, and the vault over it. A function of a factory, so that a third-party medium
 * can be put through it. Nothing here depends on Node.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { concat, equal, toHex, utf8, type Bytes } from "../../src/bytes.ts";
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { MiyuError, type ErrorCode } from "../../src/errors.ts";
import { MAX_BATCH } from "../../src/store/batch.ts";
import { FRAME_OVERHEAD } from "../../src/store/sealedRecord.ts";
import { RECORD_KINDS, type RawStore, type RawView, type RecordKey, type StoreView } from "../../src/store/types.ts";
import { HEADER_KEY, openVault, type Vault } from "../../src/store/vault.ts";
import { seededRandom, testSeed } from "../support/random.ts";

/** One medium. `open` gives a new handle on it, like another tab; `destroy` removes it. */
export interface StoreFixture {
  open(): Promise<RawStore>;
  destroy(): Promise<void>;
  /** Takes away what the key slot keeps, and nothing else. */
  loseDeviceKey(): Promise<void>;
}

const A = "02" + "aa".repeat(16);
const B = "02" + "bb".repeat(16);
const C = "02" + "cc".repeat(16);
const INCREMENTS = 1000;

/** Runs the contract over media made by `make`. */
export function storeContract(name: string, make: () => Promise<StoreFixture>): void {
  const source = seededRandom(testSeed(`store contract of ${name}`));
  const drawn: Bytes[] = [];
  const random = (length: number): Bytes => {
    const bytes = source.bytes(length);
    drawn.push(new Uint8Array(bytes));
    return bytes;
  };

  let fixture: StoreFixture;
  let handles: { close(): Promise<void> }[] = [];

  beforeEach(async () => {
    drawn.length = 0;
    fixture = await make();
  });
  afterEach(async () => {
    await Promise.all(handles.map((handle) => handle.close()));
    handles = [];
    await fixture.destroy();
  });

  const openRaw = async (): Promise<RawStore> => {
    const raw = await fixture.open();
    handles.push(raw);
    return raw;
  };
  const openSealed = async (): Promise<Vault> => openVault(await openRaw(), nobleCrypto, random);

  describe(`${name}: medium`, () => {
    test("keeps what was committed, across handles and reopening", async () => {
      const one = await openRaw();
      const two = await openRaw();
      await write(one, { [A]: [1, 2, 3], [B]: [] });
      expect(await read(two, A)).toEqual([1, 2, 3]);
      expect(await read(two, B)).toEqual([]);
      expect(await read(two, C)).toBeUndefined();
      await one.close();
      await two.transact([A], (view) => {
        view.remove(A);
        expect(view.get(A)).toBeUndefined();
      });
      await two.close();
      const three = await openRaw();
      expect(await read(three, A)).toBeUndefined();
      expect(await read(three, B)).toEqual([]);
    });

    test("copies values on their way in and out", async () => {
      const raw = await openRaw();
      const mine = Uint8Array.of(1, 2, 3, 4).subarray(1, 3);
      let seen: Uint8Array | undefined;
      const keys = [A];
      const committed = raw.transact(keys, (view) => {
        view.put(A, mine);
        mine.fill(9);
        seen = view.get(A);
        seen?.fill(8);
        expect(view.get(A)).toEqual(Uint8Array.of(2, 3));
      });
      keys[0] = B;
      await committed;
      seen?.fill(7);
      expect(await read(raw, A)).toEqual([2, 3]);
      const listed = await raw.list("");
      listed[0]?.[1].fill(6);
      expect(await read(raw, A)).toEqual([2, 3]);
    });

    test("a function that throws writes nothing and rejects with its own error", async () => {
      const raw = await openRaw();
      await write(raw, { [A]: [1] });
      const error = new RangeError("mine");
      const failed = raw.transact([A, B], (view) => {
        view.put(A, Uint8Array.of(2));
        view.put(B, Uint8Array.of(2));
        throw error;
      });
      await expect(failed).rejects.toBe(error);
      expect(await read(raw, A)).toEqual([1]);
      expect(await read(raw, B)).toBeUndefined();
    });

    test("in a batch a job that throws undoes itself alone, and later jobs see earlier writes", async () => {
      const raw = await openRaw();
      const first = raw.transact([A], (view) => {
        view.put(A, Uint8Array.of(1));
        return "first";
      });
      const second = raw.transact([A], (view) => {
        view.put(A, Uint8Array.of(2));
        throw new RangeError("second");
      });
      const third = raw.transact([A, B], (view) => {
        view.put(B, Uint8Array.of(3));
        return [...(view.get(A) ?? [])];
      });
      const outcomes = await Promise.allSettled([first, second, third]);
      expect(outcomes.map((outcome) => outcome.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
      expect(await third).toEqual([1]);
      expect(await read(raw, A)).toEqual([1]);
      expect(await read(raw, B)).toEqual([3]);
    });

    test("refuses a thenable result and writes nothing", async () => {
      const raw = await openRaw();
      const thenables = [
        () => Promise.resolve(1),
        () => Promise.reject(new Error("never seen")),
        // Made to look like a promise.
        () => ({ ["then"]: (resolve: (value: number) => void) => { resolve(1); } }),
      ];
      for (const result of thenables) {
        const refused = raw.transact([A], (view) => {
          view.put(A, Uint8Array.of(1));
          return result();
        });
        expect(await codeOf(refused)).toBe("ERR_USAGE");
        expect(await read(raw, A)).toBeUndefined();
      }
    });

    test("a record that was not named cannot be touched", async () => {
      const raw = await openRaw();
      const touches: ((view: RawView) => void)[] = [(view) => view.get(B), (view) => { view.put(B, Uint8Array.of(1)); }, (view) => { view.remove(B); }];
      for (const touch of touches) expect(await codeOf(raw.transact([A], touch))).toBe("ERR_USAGE");
      expect(await read(raw, B)).toBeUndefined();
    });

    test("a view is dead once its function returned or threw", async () => {
      const raw = await openRaw();
      const views: RawView[] = [];
      await raw.transact([A], (view) => void views.push(view));
      await raw.transact([A], (view) => { views.push(view); throw new RangeError("x"); }).catch(() => undefined);
      for (const view of views) {
        const uses = [() => view.get(A), () => { view.put(A, Uint8Array.of(1)); }, () => { view.remove(A); }, () => { view.need(B); }, () => { view.afterCommit(() => undefined); }];
        for (const use of uses) expect(codeThrown(use)).toBe("ERR_USAGE");
      }
      expect(views).toHaveLength(2);
      expect(await read(raw, A)).toBeUndefined();
    });

    test("need runs the function again from its start, with writes and hooks dropped", async () => {
      const raw = await openRaw();
      await write(raw, { [B]: [5] });
      const seen: (number[] | undefined)[] = [];
      let hooks = 0;
      const result = await raw.transact([A], (view) => {
        seen.push(bytesOf(view.get(A)));
        view.put(A, Uint8Array.of(seen.length));
        view.afterCommit(() => hooks++);
        view.need(A);
        view.need(A, B);
        view.need(B);
        return bytesOf(view.get(B));
      });
      expect(result).toEqual([5]);
      expect(seen).toEqual([undefined, undefined]);
      expect(hooks).toBe(1);
      expect(await read(raw, A)).toEqual([2]);
    });

    test("need sees what earlier jobs of the batch wrote", async () => {
      const raw = await openRaw();
      const first = raw.transact([B], (view) => { view.put(B, Uint8Array.of(4)); });
      const second = raw.transact([A], (view) => {
        view.need(B);
        return bytesOf(view.get(B));
      });
      await first;
      expect(await second).toEqual([4]);
    });

    test("need may restart six times, not seven", async () => {
      const raw = await openRaw();
      const others = Array.from({ length: 7 }, (_, i) => `0c${toHex(new Uint8Array(16).fill(i + 1))}`);
      let runs = 0;
      const attempt = (keys: readonly string[]): Promise<void> => {
        runs = 0;
        return raw.transact([A], (view) => {
          runs++;
          view.put(A, Uint8Array.of(runs));
          for (const key of keys) view.need(key);
        });
      };
      await attempt(others.slice(1));
      expect(runs).toBe(7);
      expect(await read(raw, A)).toEqual([7]);
      await write(raw, { [A]: [0] });
      expect(await codeOf(attempt(others))).toBe("ERR_INTERNAL");
      expect(runs).toBe(7);
      expect(await read(raw, A)).toEqual([0]);
    });

    test("a function that swallows the signal of need is run again all the same", async () => {
      const raw = await openRaw();
      await write(raw, { [B]: [7] });
      let runs = 0;
      const result = await raw.transact([A], (view) => {
        runs++;
        try {
          view.need(B);
          view.put(A, Uint8Array.of(runs));
          return bytesOf(view.get(B));
        } catch {
          return "swallowed";
        }
      });
      expect(result).toEqual([7]);
      expect(runs).toBe(2);
      expect(await read(raw, A)).toEqual([2]);
    });

    test("hooks run after the commit, never without one, and cannot undo it", async () => {
      const raw = await openRaw();
      const other = await openRaw();
      const log: string[] = [];
      let seenByOther: Promise<unknown> | undefined;
      const result = await raw.transact([A], (view) => {
        view.put(A, Uint8Array.of(1));
        view.afterCommit(() => {
          log.push("hook");
          seenByOther = read(other, A);
          throw new RangeError("a hook that fails");
        });
        view.afterCommit(() => log.push("next hook"));
        log.push("fn");
        return "result";
      });
      expect(result).toBe("result");
      expect(log).toEqual(["fn", "hook", "next hook"]);
      expect(await seenByOther).toEqual([1]);
      await raw.transact([A], (view) => { view.afterCommit(() => log.push("never")); throw new RangeError("x"); }).catch(() => undefined);
      await read(raw, A);
      expect(log).not.toContain("never");
    });

    test("when a result is there, every other handle sees the commit", async () => {
      const raw = await openRaw();
      const other = await openRaw();
      for (let n = 1; n <= 20; n++) {
        await raw.transact([A], (view) => { view.put(A, Uint8Array.of(n)); });
        expect((await other.list(A))[0]?.[1]).toEqual(Uint8Array.of(n));
        expect(await read(other, A)).toEqual([n]);
      }
    });

    test("takes more jobs at once than fit into a batch, in their order", async () => {
      const raw = await openRaw();
      const count = 2 * MAX_BATCH + 7;
      const jobs = Array.from({ length: count }, (_, i) =>
        raw.transact([A], (view) => {
          const before = bytesOf(view.get(A))?.length ?? 0;
          view.put(A, new Uint8Array(before + 1));
          return before === i;
        }),
      );
      expect(await Promise.all(jobs)).toEqual(Array.from({ length: count }, () => true));
      expect((await read(raw, A))?.length).toBe(count);
    });

    test("two handles: 1,000 increments each, none lost", async () => {
      const pair = [await openRaw(), await openRaw()];
      await Promise.all(
        pair.map(async (raw) => {
          for (let done = 0; done < INCREMENTS; done += 50) {
            await Promise.all(Array.from({ length: 50 }, () => raw.transact([A], (view) => { view.put(A, increment(view.get(A))); })));
          }
        }),
      );
      expect(counterOf(Uint8Array.from((await read(await openRaw(), A)) ?? []))).toBe(2 * INCREMENTS);
    });

    test("lists by prefix, in the order of the keys", async () => {
      const raw = await openRaw();
      const other = "03" + "00".repeat(16);
      await write(raw, { [C]: [3], [A]: [1], [other]: [9], [B]: [2] });
      expect((await raw.list("02")).map(([key, value]) => [key, ...value])).toEqual([[A, 1], [B, 2], [C, 3]]);
      expect((await raw.list("03")).map(([key]) => key)).toEqual([other]);
      expect((await raw.list("")).map(([key]) => key)).toEqual([A, B, C, other]);
      expect(await raw.list("04")).toEqual([]);
    });

    test("the key slot opens what it wrapped, also through another handle; damage is told, loss too", async () => {
      const raw = await openRaw();
      const key = source.bytes(32);
      const wrapped = await raw.keySlot.wrap(key);
      const other = await openRaw();
      expect(await other.keySlot.unwrap(wrapped)).toEqual(key);
      expect(await raw.list("")).toEqual([]);
      expect(contains(wrapped, key)).toBe(false);
      for (let i = 0; i < wrapped.length; i++) expect(["ERR_STORE_CORRUPT", "ERR_STORE_LOST"]).toContain(await codeOf(raw.keySlot.unwrap(flip(wrapped, i))));
      expect(["ERR_STORE_CORRUPT", "ERR_STORE_LOST"]).toContain(await codeOf(raw.keySlot.unwrap(wrapped.subarray(1))));
      expect(await raw.keySlot.unwrap(wrapped)).toEqual(key);
      await fixture.loseDeviceKey();
      expect(await codeOf(raw.keySlot.unwrap(wrapped))).toBe("ERR_STORE_LOST");
    });

    test("close waits for what runs, refuses what comes after, and leaves other handles alone", async () => {
      const raw = await openRaw();
      const other = await openRaw();
      const settled: string[] = [];
      const running = Array.from({ length: 200 }, () => raw.transact([A], (view) => { view.put(A, increment(view.get(A))); }));
      void Promise.all(running).then(() => settled.push("work"));
      const closed = raw.close().then(() => settled.push("close"));
      const late = [raw.transact([A], () => 1), raw.list(""), raw.keySlot.wrap(new Uint8Array(32)), raw.keySlot.unwrap(new Uint8Array(60))];
      for (const call of late) expect(await codeOf(call)).toBe("ERR_CLOSED");
      await closed;
      await Promise.all(running);
      expect([...settled].sort()).toEqual(["close", "work"]);
      await raw.close();
      expect(counterOf(Uint8Array.from((await read(other, A)) ?? []))).toBe(200);
    });
  });

  describe(`${name}: vault`, () => {
    const session: RecordKey = { kind: "session", id: "alice/1" };
    const account: RecordKey = { kind: "account", id: "alice/1" };

    test("keeps records across reopening, and kinds apart", async () => {
      const vault = await openSealed();
      await put(vault, session, [1, 2, 3]);
      await put(vault, account, []);
      await vault.close();
      const again = await openSealed();
      expect(await get(again, session)).toEqual([1, 2, 3]);
      expect(await get(again, account)).toEqual([]);
      expect(await get(again, { kind: "session", id: "alice/2" })).toBeUndefined();
      expect(["crypto-key", "key-record", "key-file", "memory"]).toContain(again.protection);
      expect(again.protection).toBe(vault.protection);
    });

    test("opened eight times at once, an empty medium gets one key", async () => {
      const vaults = await Promise.all(Array.from({ length: 8 }, () => openSealed()));
      await Promise.all(vaults.map((vault, i) => put(vault, { kind: "peer", id: String(i) }, [i])));
      vaults.push(await openSealed());
      for (const vault of vaults) expect((await vault.list("peer")).map(({ id, value }) => [id, ...value])).toEqual(Array.from({ length: 8 }, (_, i) => [String(i), i]));
    });

    test("two vaults: 1,000 increments each, none lost", async () => {
      const pair = [await openSealed(), await openSealed()];
      await Promise.all(
        pair.map(async (vault) => {
          for (let done = 0; done < INCREMENTS; done += 50) {
            await Promise.all(Array.from({ length: 50 }, () => vault.transact([session], (view) => { view.put(session, increment(view.get(session))); })));
          }
        }),
      );
      expect(counterOf(Uint8Array.from((await get(await openSealed(), session)) ?? []))).toBe(2 * INCREMENTS);
    });

    test("passes on need, hooks, thrown errors and the refusals of the medium", async () => {
      const vault = await openSealed();
      await put(vault, account, [4]);
      let hooks = 0;
      const result = await vault.transact([session], (view) => {
        view.afterCommit(() => hooks++);
        view.need(account);
        view.put(session, Uint8Array.of(1));
        view.put(session, Uint8Array.of(2));
        expect(bytesOf(view.get(session))).toEqual([2]);
        return bytesOf(view.get(account));
      });
      expect(result).toEqual([4]);
      expect(hooks).toBe(1);
      let kept: StoreView | undefined;
      const error = new RangeError("mine");
      await expect(vault.transact([session], (view) => { kept = view; view.remove(session); throw error; })).rejects.toBe(error);
      expect(codeThrown(() => kept?.get(session))).toBe("ERR_USAGE");
      expect(await codeOf(vault.transact([session], (view) => view.get(account)))).toBe("ERR_USAGE");
      expect(await codeOf(vault.transact([session], (view) => { view.put(session, Uint8Array.of(9)); return Promise.resolve(); }))).toBe("ERR_USAGE");
      expect(await codeOf(vault.transact([session], (view) => { view.put(session, "text" as unknown as Uint8Array); }))).toBe("ERR_USAGE");
      expect(await get(vault, session)).toEqual([2]);
    });

    test("copies values on their way in and out", async () => {
      const vault = await openSealed();
      const mine = Uint8Array.of(1, 2, 3);
      let seen: Uint8Array | undefined;
      await vault.transact([session], (view) => {
        view.put(session, mine);
        mine.fill(9);
        seen = view.get(session);
        seen?.fill(8);
        expect(bytesOf(view.get(session))).toEqual([1, 2, 3]);
      });
      expect(await get(vault, session)).toEqual([1, 2, 3]);
    });

    test("refuses kinds that do not exist and identifiers that two records could share", async () => {
      const vault = await openSealed();
      const bad: RecordKey[] = [{ kind: "nothing" as "meta", id: "x" }, { kind: "toString" as "meta", id: "x" }, { kind: "peer", id: "\ud800" }, { kind: "peer", id: "x".repeat(0x10000) }];
      for (const key of bad) expect(await codeOf(vault.transact([key], () => 1))).toBe("ERR_USAGE");
      expect(await codeOf(vault.list("nothing" as "meta"))).toBe("ERR_USAGE");
      for (const id of ["", "\ufffd", "\0", "好友 🦊", "x".repeat(0xffff)]) {
        await put(vault, { kind: "peer", id }, [1]);
        expect(await get(vault, { kind: "peer", id })).toEqual([1]);
      }
      expect(await vault.list("peer")).toHaveLength(5);
    });

    test("lists one kind, ordered by code units, after an id, up to a limit", async () => {
      const vault = await openSealed();
      const ids = ["b", "a", "\ufffd", "🦊", "", "aa", "B", "é"];
      await vault.transact(ids.map((id) => ({ kind: "outbox", id }) as const), (view) => {
        for (const id of ids) view.put({ kind: "outbox", id }, utf8(`value of ${id}`));
      });
      await put(vault, session, [1]);
      const sorted = [...ids].sort();
      const listed = await vault.list("outbox");
      expect(listed.map(({ id }) => id)).toEqual(sorted);
      expect(listed.every(({ id, value }) => equal(value, utf8(`value of ${id}`)))).toBe(true);
      expect((await vault.list("outbox", { after: "a" })).map(({ id }) => id)).toEqual(sorted.slice(sorted.indexOf("a") + 1));
      expect((await vault.list("outbox", { after: "ab", limit: 2 })).map(({ id }) => id)).toEqual(["b", "é"]);
      expect(await vault.list("outbox", { limit: 0 })).toEqual([]);
      expect(await vault.list("inbox")).toEqual([]);
    });

    test("attack 60: neither keys, values nor identifiers are on the medium in clear", async () => {
      const raw = await openRaw();
      const vault = await openVault(raw, nobleCrypto, random);
      const [marker, name] = [source.bytes(32), toHex(source.bytes(16))];
      const key: RecordKey = { kind: "account", id: name };
      for (let i = 0; i < 5; i++) await vault.transact([key], (view) => { view.put(key, concat(Uint8Array.of(i), marker)); });
      const planted = [marker, utf8(name), ...drawn.filter((bytes) => bytes.length === 32)];
      expect(planted.length).toBeGreaterThanOrEqual(4);
      const dump = await raw.list("");
      expect(dump.map(([rawKey]) => rawKey).sort()).toEqual([expect.stringMatching(/^02[0-9a-f]{32}$/), HEADER_KEY]);
      for (const [rawKey, value] of dump) {
        for (const secret of planted) {
          expect(contains(value, secret)).toBe(false);
          expect(rawKey.includes(toHex(secret))).toBe(false);
        }
        expect(rawKey.includes(name)).toBe(false);
      }
    });

    test("a frame shows a revision that counts up, and no nonce comes twice", async () => {
      const raw = await openRaw();
      const vault = await openVault(raw, nobleCrypto, random);
      const nonces = new Set<string>();
      const writes = 300;
      for (let n = 1; n <= writes; n++) {
        await put(vault, session, [1, 2, 3]);
        const frame = await frameOf(raw, "session");
        expect(frame.length).toBe(FRAME_OVERHEAD + 2 + session.id.length + 3);
        expect(new DataView(frame.buffer).getBigUint64(8)).toBe(BigInt(n));
        nonces.add(toHex(frame.subarray(16, 40)));
      }
      expect(nonces.size).toBe(writes);
    });

    test("attack 33: a clock that jumps changes nothing", async () => {
      const vault = await openSealed();
      const now = Date.now;
      try {
        const years = [0, 10, -10, 1, -1];
        for (const [i, year] of years.entries()) {
          Date.now = () => now() + year * 365 * 86_400_000;
          await put(vault, { kind: "archive", id: String(i) }, [i]);
          expect((await vault.list("archive")).map(({ id }) => id)).toEqual(Array.from({ length: i + 1 }, (_, n) => String(n)));
        }
        await vault.close();
        Date.now = () => 0;
        expect(await (await openSealed()).list("archive")).toHaveLength(years.length);
      } finally {
        Date.now = now;
      }
    });

    describe("tampering", () => {
      let raw: RawStore;
      let vault: Vault;
      let frame: Bytes;
      let rawKey: string;

      beforeEach(async () => {
        raw = await openRaw();
        vault = await openVault(raw, nobleCrypto, random);
        await put(vault, session, [1, 2, 3]);
        await put(vault, account, [4, 5, 6]);
        frame = await frameOf(raw, "session");
        rawKey = (await raw.list(kindHex("session")))[0]?.[0] ?? "";
      });

      const expectDamaged = async (damaged: Uint8Array): Promise<void> => {
        await raw.transact([rawKey], (view) => { view.put(rawKey, damaged); });
        expect(await codeOf(get(vault, session))).toBe("ERR_STORE_CORRUPT");
        expect(await codeOf(vault.list("session"))).toBe("ERR_STORE_CORRUPT");
      };

      afterEach(async () => {
        // Whatever was done to one record, the others stay readable, and the whole frame put back opens.
        expect(await get(vault, account)).toEqual([4, 5, 6]);
        await raw.transact([rawKey], (view) => { view.put(rawKey, frame); });
        expect(await get(vault, session)).toEqual([1, 2, 3]);
      });

      test("a flipped bit in any byte", async () => {
        for (let i = 0; i < frame.length; i++) await expectDamaged(flip(frame, i, 1 << source.int(8)));
      });

      test("any truncation, and bytes added", async () => {
        for (let length = 0; length < frame.length; length++) await expectDamaged(frame.subarray(0, length));
        await expectDamaged(concat(frame, Uint8Array.of(0)));
      });

      test("the row of another record, of the same kind and of another", async () => {
        await put(vault, { kind: "session", id: "mallory/1" }, [1, 2, 3]);
        const rows = (await raw.list("")).filter(([key]) => key !== rawKey && key !== HEADER_KEY);
        expect(rows).toHaveLength(2);
        for (const [, other] of rows) await expectDamaged(other);
      });

      test("the same record of another store", async () => {
        const elsewhere = await make();
        try {
          const otherRaw = await elsewhere.open();
          const otherVault = await openVault(otherRaw, nobleCrypto, random);
          await put(otherVault, session, [1, 2, 3]);
          const foreign = await frameOf(otherRaw, "session");
          await otherVault.close();
          await expectDamaged(foreign);
        } finally {
          await elsewhere.destroy();
        }
      });

      test("a damaged record is not written over, can be removed, and can be left out of a list", async () => {
        await put(vault, { kind: "session", id: "bob/1" }, [7]);
        await expectDamaged(flip(frame, 50));
        expect(await codeOf(put(vault, session, [9]))).toBe("ERR_STORE_CORRUPT");
        expect(await codeOf(get(vault, session))).toBe("ERR_STORE_CORRUPT");
        const damaged: string[] = [];
        const listed = await vault.list("session", { onDamaged: (error) => damaged.push(error.code) });
        expect(listed.map(({ id }) => id)).toEqual(["bob/1"]);
        expect(damaged).toEqual(["ERR_STORE_CORRUPT"]);
        await vault.transact([session], (view) => {
          view.remove(session);
          view.put(session, Uint8Array.of(9));
        });
        expect(await get(vault, session)).toEqual([9]);
      });
    });

    describe("loss", () => {
      test("a flipped bit in any byte of the header, and any truncation", async () => {
        const raw = await openRaw();
        await openVault(raw, nobleCrypto, random);
        const header = await headerOf(raw);
        const damaged = [...Array.from(header, (_, i) => flip(header, i, 1 << source.int(8))), ...Array.from(header, (_, i) => header.slice(0, i))];
        for (const bytes of damaged) {
          await raw.transact([HEADER_KEY], (view) => { view.put(HEADER_KEY, bytes); });
          expect(await codeOf(openVault(raw, nobleCrypto, random))).toBe("ERR_STORE_CORRUPT");
          expect(await headerOf(raw)).toEqual(bytes);
        }
      });

      test("a header that was changed with its trailer made to fit", async () => {
        const raw = await openRaw();
        await openVault(raw, nobleCrypto, random);
        const header = await headerOf(raw);
        const cases: [offset: number, code: ErrorCode][] = [[4, "ERR_SCHEMA"], [5, "ERR_STORE_CORRUPT"], [21, "ERR_STORE_CORRUPT"], [37, "ERR_STORE_CORRUPT"], [header.length - 17, "ERR_STORE_CORRUPT"]];
        for (const [offset, code] of cases) {
          const body = flip(header, offset).subarray(0, header.length - 16);
          await raw.transact([HEADER_KEY], (view) => { view.put(HEADER_KEY, concat(body, nobleCrypto.sha256(body).subarray(0, 16))); });
          expect(await codeOf(openVault(raw, nobleCrypto, random))).toBe(code);
        }
      });

      test("no header but records: lost, and nothing new is made", async () => {
        const raw = await openRaw();
        const vault = await openVault(raw, nobleCrypto, random);
        await put(vault, session, [1]);
        await raw.transact([HEADER_KEY], (view) => { view.remove(HEADER_KEY); });
        expect(await codeOf(openVault(raw, nobleCrypto, random))).toBe("ERR_STORE_LOST");
        expect(await raw.list(HEADER_KEY)).toEqual([]);
        // The vault that was open already must not go on either.
        expect(await codeOf(put(vault, account, [1]))).toBe("ERR_STORE_LOST");
        expect(await codeOf(vault.list("session"))).toBe("ERR_STORE_LOST");
        expect((await raw.list("")).map(([key]) => key.slice(0, 2))).toEqual([kindHex("session")]);
      });

      test("a header, but no device key: lost, and nothing new is made", async () => {
        const vault = await openSealed();
        await put(vault, session, [1]);
        await vault.close();
        await fixture.loseDeviceKey();
        const raw = await openRaw();
        const before = await raw.list("");
        for (let i = 0; i < 2; i++) expect(await codeOf(openVault(raw, nobleCrypto, random))).toBe("ERR_STORE_LOST");
        expect(await raw.list("")).toEqual(before);
      });

      test("a vault made anew under an open one is not written to by it", async () => {
        const raw = await openRaw();
        const old = await openVault(raw, nobleCrypto, random);
        await put(old, session, [1]);
        const elsewhere = await make();
        try {
          const otherRaw = await elsewhere.open();
          await openVault(otherRaw, nobleCrypto, random);
          const otherHeader = await headerOf(otherRaw);
          await otherRaw.close();
          await raw.transact([HEADER_KEY], (view) => { view.put(HEADER_KEY, otherHeader); });
        } finally {
          await elsewhere.destroy();
        }
        expect(await codeOf(put(old, session, [2]))).toBe("ERR_STORE_LOST");
        expect(await codeOf(get(old, session))).toBe("ERR_STORE_LOST");
      });
    });

    test("close waits for what runs and refuses what comes after", async () => {
      const vault = await openSealed();
      const running = Array.from({ length: 20 }, () => vault.transact([session], (view) => { view.put(session, increment(view.get(session))); }));
      const closed = vault.close();
      expect(await codeOf(vault.transact([session], () => 1))).toBe("ERR_CLOSED");
      expect(await codeOf(vault.list("session"))).toBe("ERR_CLOSED");
      await closed;
      await Promise.all(running);
      await vault.close();
      expect(counterOf(Uint8Array.from((await get(await openSealed(), session)) ?? []))).toBe(20);
    });
  });
}

const kindHex = (kind: keyof typeof RECORD_KINDS): string => toHex(Uint8Array.of(RECORD_KINDS[kind]));

async function write(raw: RawStore, values: Readonly<Record<string, readonly number[]>>): Promise<void> {
  await raw.transact(Object.keys(values), (view) => {
    for (const [key, value] of Object.entries(values)) view.put(key, Uint8Array.from(value));
  });
}

const read = (raw: RawStore, key: string): Promise<number[] | undefined> => raw.transact([key], (view) => bytesOf(view.get(key)));
const get = (vault: Vault, key: RecordKey): Promise<number[] | undefined> => vault.transact([key], (view) => bytesOf(view.get(key)));
const put = (vault: Vault, key: RecordKey, value: readonly number[]): Promise<void> => vault.transact([key], (view) => { view.put(key, Uint8Array.from(value)); });

async function frameOf(raw: RawStore, kind: keyof typeof RECORD_KINDS): Promise<Bytes> {
  const rows = await raw.list(kindHex(kind));
  if (rows.length !== 1 || rows[0] === undefined) throw new Error(`${String(rows.length)} rows of ${kind}`);
  return rows[0][1];
}

async function headerOf(raw: RawStore): Promise<Bytes> {
  const header = await raw.transact([HEADER_KEY], (view) => view.get(HEADER_KEY));
  if (header === undefined) throw new Error("no header");
  return header;
}

const bytesOf = (value: Uint8Array | undefined): number[] | undefined => value && [...value];

const counterOf = (value: Uint8Array | undefined): number => (value === undefined || value.length === 0 ? 0 : new DataView(value.buffer).getUint32(0));

function increment(value: Uint8Array | undefined): Bytes {
  const next = new Uint8Array(4);
  new DataView(next.buffer).setUint32(0, counterOf(value) + 1);
  return next;
}

function flip(bytes: Uint8Array, at: number, mask = 1): Bytes {
  const out = new Uint8Array(bytes);
  out[at] = (out[at] ?? 0) ^ mask;
  return out;
}

function contains(haystack: Uint8Array, needle: Uint8Array): boolean {
  return toHex(haystack).includes(toHex(needle));
}

/** The code a promise is rejected with; "fulfilled" if it is not rejected, "other" for another error. */
async function codeOf(promise: Promise<unknown>): Promise<ErrorCode | "fulfilled" | "other"> {
  try {
    await promise;
    return "fulfilled";
  } catch (error) {
    return MiyuError.is(error) ? error.code : "other";
  }
}

function codeThrown(call: () => unknown): ErrorCode | "returned" | "other" {
  try {
    call();
    return "returned";
  } catch (error) {
    return MiyuError.is(error) ? error.code : "other";
  }
}
