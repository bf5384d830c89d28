import { describe, expect, test } from "vitest";
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { sodiumCrypto } from "../../src/crypto/sodium.ts";
import { MiyuError } from "../../src/errors.ts";
import { indexedDbStore } from "../../src/store/indexeddb.ts";
import { memoryMedium, memoryStore } from "../../src/store/memory.ts";
import { openRecordAt, placeOf, sealRecord, type RecordPlace, type VaultKeys } from "../../src/store/sealedRecord.ts";
import type { RecordKey } from "../../src/store/types.ts";
import { HEADER_KEY, openVault } from "../../src/store/vault.ts";
import { seededRandom, testSeed } from "../support/random.ts";

const random = seededRandom(testSeed("vault")).bytes;
const key: RecordKey = { kind: "session", id: "alice/1" };

describe("vault", () => {
  test("what one crypto provider sealed the other opens", async () => {
    const providers = [nobleCrypto, await sodiumCrypto()];
    const medium = memoryMedium();
    for (let i = 0; i < 4; i++) {
      const vault = await openVault(memoryStore({ medium }), providers[i % 2] ?? nobleCrypto, random);
      const seen = await vault.transact([key], (view) => {
        const before = view.get(key);
        view.put(key, Uint8Array.of(i));
        return before;
      });
      expect(seen).toEqual(i === 0 ? undefined : Uint8Array.of(i - 1));
      expect(await vault.list("session")).toEqual([{ id: key.id, value: Uint8Array.of(i) }]);
      await vault.close();
    }
  });

  test("the layout of a new header is the documented one", async () => {
    const medium = memoryMedium();
    await openVault(memoryStore({ medium }), nobleCrypto, random);
    const header = medium.records.get(HEADER_KEY) ?? new Uint8Array();
    const view = new DataView(header.buffer);
    expect(new TextDecoder().decode(header.subarray(0, 4))).toBe("MIYU");
    expect(header[4]).toBe(1);
    expect([view.getUint32(37), view.getUint32(41), view.getUint32(45)]).toEqual([1, 0, 0]);
    // One slot of kind 2 whose kdf is 02, then a wrapped key: here a ticket of 4 bytes.
    expect([header[49], header[58], ...header.subarray(59, 62), view.getUint16(62)]).toEqual([1, 2, 0, 1, 2, 4]);
    expect([header[68], view.getUint32(69)]).toEqual([1, 1]);
    expect(header.length).toBe(73 + 24 + 48 + 16);
    expect(header.subarray(-16)).toEqual(nobleCrypto.sha256(header.subarray(0, -16)).subarray(0, 16));
  });

  test("a store that failed to open stays the caller's", async () => {
    const raw = memoryStore();
    await raw.transact([HEADER_KEY], (view) => { view.put(HEADER_KEY, new Uint8Array(100)); });
    await expect(openVault(raw, nobleCrypto, random)).rejects.toSatisfy((error) => MiyuError.is(error, "ERR_STORE_CORRUPT"));
    expect(await raw.list("")).toHaveLength(1);
    await raw.close();
  });
});

describe("sealed record", () => {
  const keys: VaultKeys = { storeId: random(16), activeKid: 1, recordKeys: new Map([[1, random(32)], [2, random(32)]]), indexKey: random(32) };
  const place = placeOf(nobleCrypto, keys, key);
  const frame = sealRecord(nobleCrypto, keys, place, 7, Uint8Array.of(1, 2, 3), random(24));

  test("opens in its place, under whichever key is active", () => {
    for (const activeKid of [1, 2]) expect(openRecordAt(nobleCrypto, { ...keys, activeKid }, place, frame)).toEqual({ id: key.id, value: Uint8Array.of(1, 2, 3), revision: 7 });
    expect(frame.subarray(0, 16)).toEqual(Uint8Array.of(0xe2, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7));
  });

  test("is bound to its store, its key id, its kind and its identifier", () => {
    const elsewhere: [VaultKeys, RecordPlace][] = [
      [{ ...keys, storeId: random(16) }, place],
      [{ ...keys, recordKeys: new Map([[1, random(32)]]) }, place],
      [{ ...keys, recordKeys: new Map([[2, random(32)]]) }, place],
      [keys, placeOf(nobleCrypto, keys, { ...key, kind: "archivedSession" })],
      [keys, placeOf(nobleCrypto, keys, { ...key, id: "alice/2" })],
      [keys, { ...place, key: { ...key, id: "alice/2" } }],
    ];
    for (const [otherKeys, otherPlace] of elsewhere) {
      expect(() => openRecordAt(nobleCrypto, otherKeys, otherPlace, frame)).toThrow(expect.objectContaining({ code: "ERR_STORE_CORRUPT" }));
    }
    // The same key under another id: the id is in the frame's head, and the head is authenticated.
    const renamed = new Uint8Array(frame);
    renamed[7] = 2;
    const recordKeys = new Map([[2, keys.recordKeys.get(1) ?? random(32)]]);
    expect(() => openRecordAt(nobleCrypto, { ...keys, recordKeys }, place, renamed)).toThrow(expect.objectContaining({ code: "ERR_STORE_CORRUPT" }));
  });
});

test("where there is no IndexedDB, its store says so on first use and not before", async () => {
  expect("indexedDB" in globalThis).toBe(false);
  const raw = indexedDbStore();
  for (let i = 0; i < 2; i++) await expect(raw.list("")).rejects.toSatisfy((error) => MiyuError.is(error, "ERR_STORE_UNAVAILABLE"));
  await raw.close();
});
