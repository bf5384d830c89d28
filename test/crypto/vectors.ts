/**
 * The vector files of test/vectors as parsed JSON, in Node and in a browser page alike: Vite inlines them as text, so no
 * file system is needed and the type checker does not have to infer a megabyte of literals.
 */
/// <reference types="vite/client" />
import { expect } from "vitest";
import type { Bytes } from "../../src/bytes.ts";

const FILES = import.meta.glob<string>(
  ["../vectors/wycheproof/*.json", "../vectors/cctv/ed25519/*.json", "../vectors/rfc/*.json", "../vectors/signal-wire.json"],
  { query: "?raw", import: "default", eager: true },
);

/** A Wycheproof file with groups `G` of tests `T`. */
interface Wycheproof<G, T> {
  readonly numberOfTests: number;
  readonly testGroups: readonly (G & { readonly tests: readonly (T & WycheproofTest)[] })[];
}

/** What every Wycheproof test has. */
interface WycheproofTest {
  readonly tcId: number;
  readonly comment: string;
  readonly result: "valid" | "acceptable" | "invalid";
}

/** One file below test/vectors, e.g. `"rfc/rfc7748-x25519.json"`. */
export function vectorFile<T>(path: string): T {
  const text = FILES[`../vectors/${path}`];
  if (text === undefined) throw new Error(`no vector file ${path}`);
  return JSON.parse(text) as T;
}

/** Bytes of lower-case hexadecimal. */
export function fromHex(text: string): Bytes {
  if (!/^(?:[0-9a-f]{2})*$/u.test(text)) throw new Error("not hexadecimal");
  return Uint8Array.from(text.match(/../gu) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Runs all `count` tests of a Wycheproof file. `run` gives what came out and what should have. */
export function wycheproof<G, T>(file: string, count: number, run: (each: T & WycheproofTest, group: G) => readonly [got: string, expected: string]): void {
  const { numberOfTests, testGroups } = vectorFile<Wycheproof<G, T>>(`wycheproof/${file}_test.json`);
  const wrong: string[] = [];
  let ran = 0;
  for (const group of testGroups) {
    for (const each of group.tests) {
      ran++;
      const [got, expected] = run(each, group);
      if (got !== expected) wrong.push(`${String(each.tcId)} ${each.comment}: ${got}, not ${expected}`);
    }
  }
  expect(wrong).toEqual([]);
  expect([ran, numberOfTests]).toEqual([count, count]);
}
