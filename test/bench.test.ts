// The numbers we show are the numbers that were measured: RESULTS.md is what results.json generates, and every row is whole.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { goals, renderResults, SIZES, TIMES } from "../bench/report.mjs";
import { quartiles, shuffled } from "../bench/statistics.mjs";

interface Row {
  readonly peer: string;
  readonly provider: string;
  readonly measure: string;
  readonly median: number;
  readonly p25: number;
  readonly p75: number;
  readonly unit: "µs" | "B";
  readonly dirty: boolean;
}

interface Spread {
  readonly median: number;
  readonly p25: number;
  readonly p75: number;
  readonly dirty: boolean;
}

interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
  readonly v8: string;
  readonly platform: string;
  readonly date: string;
  readonly quick: boolean;
  readonly quiet: number;
  readonly tries: number;
  readonly x25519: Spread;
}

interface Results {
  readonly machine: Machine;
  readonly refused: readonly { readonly peer: string; readonly provider: string; readonly refused: number }[];
  readonly rows: readonly Row[];
}

const read = (name: string): string => readFileSync(new URL(`../bench/${name}`, import.meta.url), "utf8");
const results = JSON.parse(read("results.json")) as Results;
const { machine, rows } = results;
const columns = [["miyu", "sodium"], ["miyu", "noble"], ["libsignal-npm", "own"], ["privacyresearch", "own"], ["olm", "own"]] as const;

test("RESULTS.md is generated from results.json", () => {
  expect(read("RESULTS.md")).toBe(renderResults({ ...results, refused: [...results.refused], rows: [...rows] }));
});

test("every row has the fields of the schema, and nothing else", () => {
  const measures = [...Object.keys(TIMES), ...Object.keys(SIZES)];
  for (const row of rows) {
    const note = JSON.stringify(row);
    expect(Object.keys(row), note).toEqual(["peer", "provider", "measure", "median", "p25", "p75", "unit", "dirty"]);
    expect(["sodium", "noble", "own", "any"], note).toContain(row.provider);
    expect(row.measure.startsWith("bundle:") || measures.includes(row.measure), note).toBe(true);
    expect(row.unit, note).toBe(row.measure in TIMES ? "µs" : "B");
    expect(row.p25, note).toBeGreaterThan(0);
    expect(row.median, note).toBeGreaterThanOrEqual(row.p25);
    expect(row.p75, note).toBeGreaterThanOrEqual(row.median);
    expect(typeof row.dirty, note).toBe("boolean");
  }
  const keys = rows.map(({ peer, provider, measure }) => `${peer} ${provider} ${measure}`);
  expect(new Set(keys).size).toBe(keys.length);
});

test("every peer was measured in everything that all have", () => {
  const common = ["establish", "encrypt", "decrypt", "pingpong", "outOfOrder1000", "fanout100", "coldStart", "stateBytes"];
  const missing = columns.flatMap(([peer, provider]) =>
    common.filter((measure) => !rows.some((row) => row.peer === peer && row.provider === provider && row.measure === measure)),
  );
  expect(missing).toEqual([]);
  for (const [peer] of columns) expect(rows.some((row) => row.peer === peer && row.measure.startsWith("bundle:")), peer).toBe(true);
});

test("the machine is named", () => {
  expect(machine.cpu).not.toBe("");
  expect(machine.node).toMatch(/^\d+\.\d+\.\d+$/u);
  expect(machine.date).toMatch(/^\d{4}-\d\d-\d\d$/u);
  expect(machine.x25519.median).toBeGreaterThan(0);
  expect(machine.quiet).toBeLessThanOrEqual(machine.tries);
});

describe("goals", () => {
  const row = (measure: string, median: number, dirty = false): Row => ({
    peer: "miyu",
    provider: measure.startsWith("bundle") ? "noble" : "sodium",
    measure,
    median,
    p25: median,
    p75: median,
    unit: measure.startsWith("bundle") ? "B" : "µs",
    dirty,
  });
  const verdicts = (x25519: number, ...given: Row[]): string[] =>
    goals({ machine: { ...machine, x25519: { median: x25519, p25: x25519, p75: x25519, dirty: false } }, refused: [], rows: given }).map(({ verdict }) => verdict);
  const bundle = row("bundle:root+protocol+noble", 50_000);

  test("scale with the machine's X25519", () => {
    expect(verdicts(140, row("encrypt", 75), row("decrypt", 75), bundle)).toEqual(["met", "met"]);
    expect(verdicts(139, row("encrypt", 75), row("decrypt", 75), bundle)).toEqual(["not met", "met"]);
    expect(verdicts(280, row("encrypt", 150), row("decrypt", 150), bundle)).toEqual(["met", "met"]);
  });

  test("are not met by a noisy row, nor by none", () => {
    expect(verdicts(140, row("encrypt", 1, true), row("decrypt", 1), row("bundle:root+protocol+noble", 50_001))).toEqual(["not judged: noisy", "not met"]);
    expect(verdicts(140, row("encrypt", 1))).toEqual(["not judged: not measured", "not judged: not measured"]);
  });
});

test("quartiles are interpolated, whatever the order", () => {
  expect(quartiles([4, 1, 3, 2])).toEqual({ median: 2.5, p25: 1.75, p75: 3.25 });
  expect(quartiles([7])).toEqual({ median: 7, p25: 7, p75: 7 });
});

test("disorder is the same in every run and keeps every message", () => {
  const list = Array.from({ length: 1000 }, (_, i) => i);
  expect(shuffled(list)).toEqual(shuffled(list));
  expect(shuffled(list)).not.toEqual(list);
  expect([...shuffled(list)].sort((a, b) => a - b)).toEqual(list);
});
