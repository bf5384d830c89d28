import { describe, expect, test } from "vitest";
import { concat, toHex } from "../../src/bytes.ts";
import { compareScannable, safetyNumber, type SafetyNumberParties } from "../../src/protocol/fingerprint.ts";
import { codeOf, crypto, fromHex, wireVectors } from "./parties.ts";

interface FingerprintVector {
  name: string;
  version: number;
  iterations: number;
  local_id: string;
  local_public: string;
  remote_id: string;
  remote_public: string;
  display: string;
  scannable: string;
}

const vectors = wireVectors<FingerprintVector[]>("fingerprints");
const partiesOf = (v: FingerprintVector): SafetyNumberParties => ({
  localKey: fromHex(v.local_public),
  localId: fromHex(v.local_id),
  remoteKey: fromHex(v.remote_public),
  remoteId: fromHex(v.remote_id),
  iterations: v.iterations,
  version: v.version,
});
const swap = (p: SafetyNumberParties): SafetyNumberParties => ({
  ...p,
  localKey: p.remoteKey,
  localId: p.remoteId,
  remoteKey: p.localKey,
  remoteId: p.localId,
});

test.each(vectors.map((v) => [v.name, v] as const))("wire vector: %s", (_name, vector) => {
  const ours = safetyNumber(crypto, partiesOf(vector));
  expect(ours.digits).toBe(vector.display);
  expect(toHex(ours.scannable)).toBe(vector.scannable);
  const theirs = safetyNumber(crypto, swap(partiesOf(vector)));
  expect(theirs.digits).toBe(vector.display);
  expect(compareScannable(crypto, ours.scannable, theirs.scannable)).toBe(true);
});

const first = vectors[0];
if (!first) throw new Error("no fingerprint vectors");
const parties = { ...partiesOf(first), iterations: 2, version: 2 };
const ours = safetyNumber(crypto, parties).scannable;
const theirs = safetyNumber(crypto, swap(parties)).scannable;

describe("compareScannable", () => {
  test("says no to ourselves, and to every changed half", () => {
    expect(compareScannable(crypto, ours, ours)).toBe(false);
    // Tag and length of the halves are at 2…5 and 38…41.
    for (const at of [6, 37, 42, 73]) {
      const changed = theirs.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(compareScannable(crypto, ours, changed)).toBe(false);
    }
  });

  test("tells another version", () => {
    const other = safetyNumber(crypto, { ...swap(parties), version: 3 }).scannable;
    expect(codeOf(() => compareScannable(crypto, ours, other))).toBe("ERR_VERSION");
    expect(codeOf(() => compareScannable(crypto, ours, theirs.subarray(2)))).toBe("ERR_VERSION");
  });

  test("takes an absent version of theirs for 0, but not of ours", () => {
    const zero = { ...parties, version: 0 };
    const own = safetyNumber(crypto, zero).scannable;
    const scanned = safetyNumber(crypto, swap(zero)).scannable;
    expect(compareScannable(crypto, own, scanned.subarray(2))).toBe(true);
    expect(codeOf(() => compareScannable(crypto, own.subarray(2), scanned))).toBe("ERR_DECODE");
  });

  test("refuses what is cut or lacks a half", () => {
    for (const bad of [theirs.subarray(0, 73), theirs.subarray(0, 38), concat(theirs.subarray(0, 2), theirs.subarray(38)), Uint8Array.of(0xff)]) {
      expect(codeOf(() => compareScannable(crypto, ours, bad))).toBe("ERR_DECODE");
    }
  });
});

test("a change of any input changes the number", () => {
  const { digits } = safetyNumber(crypto, parties);
  for (const name of ["localKey", "localId", "remoteKey", "remoteId"] as const) {
    const value = parties[name].slice();
    value[5] = (value[5] ?? 0) ^ 1;
    expect(safetyNumber(crypto, { ...parties, [name]: value }).digits).not.toBe(digits);
  }
  expect(safetyNumber(crypto, { ...parties, iterations: 3 }).digits).not.toBe(digits);
});

test.each([1, 0, -1, 1_000_001, 2.5])("refuses %s iterations", (iterations) => {
  expect(codeOf(() => safetyNumber(crypto, { ...parties, iterations }))).toBe("ERR_USAGE");
});
