/** The vector files are the ones whose origin the README gives, byte for byte, with their licences. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const folder = new URL("../vectors/", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, folder));
const sums = new Map(
  read("SHA256SUMS")
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [sum = "", path = ""] = line.split("  ");
      return [path, sum] as const;
    }),
);

test("every listed file has its checksum", () => {
  const found = [...sums.keys()].map((path) => [path, createHash("sha256").update(read(path)).digest("hex")] as const);
  expect(found).toEqual([...sums]);
  expect(found.length).toBeGreaterThanOrEqual(13);
});

test("every file from elsewhere is listed, described, and has a licence beside it", () => {
  const readme = read("README.md").toString();
  for (const origin of ["wycheproof", "cctv/ed25519", "rfc"]) {
    const files = readdirSync(new URL(`${origin}/`, folder)).map((name) => `${origin}/${name}`);
    expect(files.filter((path) => !sums.has(path))).toEqual([]);
    expect(files.filter((path) => !readme.includes(`\`${path}\``))).toEqual([]);
  }
  expect(read("wycheproof/LICENSE").toString()).toContain("Apache License");
  expect(read("cctv/ed25519/LICENSE").toString()).toContain("Redistribution and use");
});
