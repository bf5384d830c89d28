// The manifest promises what the package is; whether the built package keeps it (contents, types, installation) is `npm run verify`.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

interface Manifest {
  readonly [field: string]: unknown;
  readonly dependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
  readonly peerDependencies: Record<string, string>;
  readonly peerDependenciesMeta: Record<string, { optional?: boolean }>;
}

interface Lock {
  readonly packages: Record<string, { readonly version?: string; readonly license?: string; readonly dev?: boolean; readonly optional?: boolean; readonly peer?: boolean }>;
}

const read = (name: string): string => readFileSync(fileURLToPath(new URL(`../${name}`, import.meta.url)), "utf8");
const manifest = JSON.parse(read("package.json")) as Manifest;
const { packages } = JSON.parse(read("package-lock.json")) as Lock;

test("the package is MIT, ESM only, without side effects, for Node 20.19 and later", () => {
  expect(manifest).toMatchObject({ name: "miyu", license: "MIT", type: "module", sideEffects: false, engines: { node: ">=20.19.0" } });
  expect(manifest).not.toHaveProperty("main");
  expect(read("LICENSE")).toContain("MIT License");
});

test("dependencies are pinned, and installed as pinned", () => {
  const pinned = { ...manifest.dependencies, ...manifest.devDependencies };
  expect(Object.entries(pinned).filter(([, version]) => !/^\d+\.\d+\.\d+$/u.test(version))).toEqual([]);
  expect(Object.entries(pinned).filter(([name, version]) => packages[`node_modules/${name}`]?.version !== version)).toEqual([]);
});

test("all that a consumer installs may be used under MIT's terms", () => {
  const installed = Object.entries(packages).filter(([path, { dev }]) => path !== "" && dev !== true);
  expect(installed.map(([path]) => path)).toContain("node_modules/libsodium");
  expect(installed.filter(([, { license }]) => !["MIT", "ISC", "Apache-2.0", "BSD-3-Clause", "0BSD"].includes(license ?? "")).map(([path]) => path)).toEqual([]);
});

test("peers are optional: no one installs a store or a relay they do not use", () => {
  expect(Object.keys(manifest.peerDependencies).filter((name) => manifest.peerDependenciesMeta[name]?.optional !== true)).toEqual([]);
});
