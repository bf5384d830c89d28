// Attack 9: base64 and AES with table look-ups at secret indices leak through the cache (CVE-2024-45191, -45192, CVE-2024-40640).
// Guards: base64url by arithmetic in src/bytes.ts, no `atob`/`btoa`/Buffer base64 where secrets pass; the table AES of JavaScript is a
// risk the threat model states. Without them the scan finds the call or the table, or the document does not say what it must.
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, describe, expect, test, vi } from "vitest";
import { fromBase64url, toBase64url } from "../../src/bytes.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { open, say, World } from "./people.ts";

const random = seededRandom(testSeed("09 base64"));
const root = new URL("../../src/", import.meta.url);
/** The relay and the command hold no secrets of users; they run on Node's own encoders. */
const SOURCES = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts") && !/^(relay|cli)\//u.test(path));
const read = (path: string): string => readFileSync(new URL(path, root), "utf8");
const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\//gu, "").replace(/(^|\s)\/\/.*$/gmu, "$1");

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("sources", () => {
  test("nothing turns bytes into base64 but src/bytes.ts", () => {
    expect(SOURCES.length).toBeGreaterThan(50);
    const found = SOURCES.filter((path) => /\b(atob|btoa)\b|["'`]base64(url)?["'`]\s*[),]|\.(to|from)Base64\b/u.test(withoutComments(read(path)).replaceAll(/what = "base64url"/gu, "")));
    expect(found).toEqual([]);
  });

  test("src/bytes.ts has no table of the alphabet and indexes nothing with a sextet", () => {
    const text = withoutComments(read("bytes.ts"));
    expect(text).not.toMatch(/ABCDEF|abcdefghij|A-Za-z0-9/u);
    // The two functions that map characters hold arithmetic only: no index, no branch, no look-up.
    for (const name of ["sextetCode", "sextetValue", "between"]) {
      const body = new RegExp(`function ${name}\\([^)]*\\): number \\{([\\s\\S]*?)\\n\\}`, "u").exec(text)?.[1];
      expect(body, name).toBeDefined();
      expect(body, name).not.toMatch(/\[|\?|\bif\b|&&|\|\||switch|charAt|indexOf|\bMap\b/u);
    }
  });
});

test("base64url of every sextet and of random bytes is right, both ways, also in the standard alphabet", () => {
  const all = Uint8Array.from({ length: 48 }, (_, i) => (i % 3 === 0 ? ((4 * (i / 3)) << 2) | ((4 * (i / 3) + 1) >> 4) : i % 3 === 1 ? ((4 * ((i - 1) / 3) + 1) << 4) | ((4 * ((i - 1) / 3) + 2) >> 2) : ((4 * ((i - 2) / 3) + 2) << 6) | (4 * ((i - 2) / 3) + 3)));
  expect(toBase64url(all)).toBe("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
  for (let i = 0; i < 300; i++) {
    const bytes = random.bytes(i);
    const text = Buffer.from(bytes).toString("base64url");
    expect(toBase64url(bytes)).toBe(text);
    for (const form of [text, Buffer.from(bytes).toString("base64"), Buffer.from(bytes).toString("base64").replaceAll("=", "")]) expect(fromBase64url(form)).toEqual(bytes);
  }
});

test("a client works where atob and btoa throw", async () => {
  const calls: string[] = [];
  const forbidden = (name: string) => (): never => {
    calls.push(name);
    throw new Error(`${name} was called`);
  };
  vi.stubGlobal("atob", forbidden("atob"));
  vi.stubGlobal("btoa", forbidden("btoa"));
  const [alice, bob] = await new World(random).friends();
  expect(await say(alice, bob, "hi")).toMatchObject({ text: "hi" });
  expect(await open(bob, alice, (await alice.client.encrypt("bob", "as text")).text)).toMatchObject({ text: "as text" });
  await alice.client.exportAccount("a passphrase");
  expect(calls).toEqual([]);
}, 120_000);

test("what cannot be had in JavaScript is stated: AES tables, BigInt, wiping", () => {
  const text = readFileSync(new URL("../../docs/threat-model.md", import.meta.url), "utf8");
  expect(text).toMatch(/AES[^.]*tables?/u);
  expect(text).toMatch(/BigInt/u);
  expect(text).toMatch(/wip(e|ed|ing)/u);
  expect(read("crypto/noble.ts")).toContain("AES tables are not constant time");
});
