/** Known answers: the file is what the library makes of fixed inputs, and a second implementation gives the same answers. */
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { MiyuError } from "../../src/errors.ts";
import { operations as reference, Refused } from "../reference/envelope.ts";
import { makeCases, type VectorCase } from "../vectors/makeEnvelope.ts";
import { operations as library, type Fields, type Operation } from "./operations.ts";

const FILE = new URL("../vectors/envelope.json", import.meta.url);
const ABOUT = "Known answers for docs/protocol.md, made by test/vectors/makeEnvelope.ts from fixed labels. MIT, like the rest of this project.";

if (process.env["MIYU_WRITE_VECTORS"] === "1") writeFileSync(FILE, `${JSON.stringify({ about: ABOUT, cases: makeCases() }, undefined, 1)}\n`);
const { about, cases } = JSON.parse(readFileSync(FILE, "utf8")) as { about: string; cases: VectorCase[] };

/** What `operation` answers, in the words of the file. */
function answer(operation: Operation | undefined, input: Fields): Pick<VectorCase, "expect" | "output"> {
  if (operation === undefined) throw new Error("no such operation");
  try {
    return { expect: "ok", output: operation(input) };
  } catch (error) {
    if (!(error instanceof Refused) && !MiyuError.is(error)) throw error;
    const rule = error instanceof Refused ? error.rule : (error.detail as { rule?: string }).rule;
    return { expect: error.code, ...(rule === undefined ? {} : { output: { rule } }) };
  }
}

const expected = ({ expect: code, output }: VectorCase): Pick<VectorCase, "expect" | "output"> => ({ expect: code, ...(output === undefined ? {} : { output }) });

describe("vectors", { timeout: 120_000 }, () => {
  test("the file is what the library makes today", () => {
    expect(about).toBe(ABOUT);
    expect(cases).toEqual(makeCases());
  });

  test("names are unique; every operation is there, most of them refusing something", () => {
    expect(new Set(cases.map((one) => one.name)).size).toBe(cases.length);
    expect(new Set(cases.map((one) => one.operation))).toEqual(new Set(Object.keys(library)));
    expect(Object.keys(reference).sort()).toEqual(Object.keys(library).sort());
    const refusing = new Set(cases.filter((one) => one.expect !== "ok").map((one) => one.operation));
    expect([...refusing].sort()).toEqual(
      ["acceptDeviceList", "decodeContent", "decodeDeviceList", "decodeDirectoryRecord", "decodeFrame", "decodeStockedPreKey", "fromText", "open", "openAccountFile", "unpad", "verifyBundle"],
    );
    console.info(`envelope vectors: ${String(cases.length)} cases, ${String(cases.filter((one) => one.expect !== "ok").length)} of them refused`);
  });

  test.each(Object.keys(library))("library: %s", (operation) => {
    for (const one of cases.filter((item) => item.operation === operation)) expect(answer(library[operation], one.input), one.name).toEqual(expected(one));
  });

  test.each(Object.keys(library))("reference, from docs/protocol.md alone: %s", (operation) => {
    for (const one of cases.filter((item) => item.operation === operation)) expect(answer(reference[operation], one.input), one.name).toEqual(expected(one));
  });

  test("the reference imports nothing of the library", () => {
    const source = readFileSync(new URL("../reference/envelope.ts", import.meta.url), "utf8");
    const imports = [...source.matchAll(/from "([^"]+)"/g)].map((match) => match[1]);
    expect(imports).toEqual(["node:crypto", "@noble/curves/ed25519.js"]);
  });

  test("docs/protocol.md names every operation", () => {
    const page = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");
    for (const operation of Object.keys(library)) expect(page).toContain(`\`${operation}\``);
  });
});
