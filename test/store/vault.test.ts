import { describe, expect, test } from "vitest";
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { sodiumCrypto } from "../../src/crypto/sodium.ts";
import { MiyuError } from "../../src/errors.ts";
import { indexedDbStore } from "../../src/store/indexeddb.ts";
import { memoryMedium, memoryStore } from "../../src/store/memory.ts";
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

test("where there is no IndexedDB, its store says so on first use and not before", async () => {
  expect("indexedDB" in globalThis).toBe(false);
  const raw = indexedDbStore();
  for (let i = 0; i < 2; i++) await expect(raw.list("")).rejects.toSatisfy((error) => MiyuError.is(error, "ERR_STORE_UNAVAILABLE"));
  await raw.close();
});
