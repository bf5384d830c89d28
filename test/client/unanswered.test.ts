// The cap on sessions that others began and nobody answered.
import { memoryMedium, memoryStore } from "miyu/store/memory";
import { nobleCrypto } from "miyu/crypto/noble";
import { describe, expect, test } from "vitest";
import { RECORDS } from "../../src/client/naming.ts";
import { countUnanswered, MAX_UNANSWERED, settleUnanswered } from "../../src/client/unanswered.ts";
import { openVault } from "../../src/store/vault.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { codeOf } from "./world.ts";

describe("unanswered sessions", () => {
  test("5 for each device are refused beyond, 500 in all push out the oldest, an answer clears a device", async () => {
    const random = seededRandom(testSeed("unanswered"));
    const store = await openVault(memoryStore({ medium: memoryMedium() }), nobleCrypto, (length) => random.bytes(length));
    const count = (device: string) => store.transact([RECORDS.unanswered], (view) => countUnanswered(view, device));
    const settle = (device: string) => store.transact([RECORDS.unanswered], (view) => { settleUnanswered(view, device); });
    expect(MAX_UNANSWERED).toEqual({ device: 5, all: 500 });
    for (let i = 0; i < 5; i++) expect(await count("d0")).toBeUndefined();
    expect(await codeOf(count("d0"))).toBe("ERR_DECRYPT");
    await settle("d0");
    for (let i = 0; i < 5; i++) expect(await count("d0")).toBeUndefined();
    for (let device = 1; device < 100; device++) for (let i = 0; i < 5; i++) expect(await count(`d${String(device)}`)).toBeUndefined();
    // 500 now: each new one names the device whose oldest session goes.
    for (let i = 0; i < 5; i++) expect(await count("late")).toBe("d0");
    expect(await codeOf(count("late"))).toBe("ERR_DECRYPT");
    expect(await count("later")).toBe("d1");
    await settle("d1");
    await settle("nobody");
    for (let i = 0; i < 4; i++) expect(await count("latest")).toBeUndefined();
    await store.close();
  });
});
