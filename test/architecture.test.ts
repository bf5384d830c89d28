// The rooms of src/ and what each may import, as a test. A rule here is a sentence of the design: change both or neither.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { MANIFEST, PUBLIC_ENTRIES, SOURCES } from "../scripts/entries.mjs";
import { findCycles, packageOf, readSource, roomOf, type Import, type SourceFile } from "./support/sourceGraph.ts";

interface Room {
  /** Other rooms, or single files of them, it may import. */
  readonly rooms: readonly string[];
  /** Single files it may import for their types only. */
  readonly types?: readonly string[];
  /** Whether it may import packages, and Node's own modules. */
  readonly packages?: boolean;
  readonly node?: boolean;
}

const CORE = ["errors", "bytes"];
const CONCRETE = PUBLIC_ENTRIES.map(([, source]) => source).filter((source) => /^src\/(?:crypto|store|transport)\//u.test(source));

const ROOMS: Readonly<Record<string, Room>> = {
  errors: { rooms: [] },
  bytes: { rooms: ["errors"] },
  crypto: { rooms: CORE, packages: true },
  protocol: { rooms: CORE, types: ["src/crypto/types.ts"] },
  envelope: { rooms: [...CORE, "protocol"], types: ["src/crypto/types.ts"] },
  store: { rooms: CORE, types: ["src/crypto/types.ts"], packages: true, node: true },
  transport: { rooms: CORE, types: ["src/crypto/types.ts"], packages: true },
  client: { rooms: [...CORE, "crypto", "protocol", "envelope", "store", "transport"] },
  defaults: { rooms: [...CORE, "crypto", "store", "transport", "client"], node: true },
  index: { rooms: [...CORE, "crypto", "protocol", "envelope", "store", "transport", "client"] },
  relay: { rooms: [...CORE, "crypto", "protocol", "envelope", "store", "transport", "client"], packages: true, node: true },
  cli: { rooms: [...CORE, "crypto", "protocol", "envelope", "store", "transport", "client", "relay", "index"], packages: true, node: true },
};

function brokenRule({ from, specifier, target, typeOnly }: Import): string | undefined {
  const name = roomOf(from);
  const room = ROOMS[name];
  if (room === undefined) return "is in no known room";
  if (specifier === "#defaults") return name === "index" ? undefined : "only index.ts knows #defaults";
  if (specifier.startsWith("node:")) return room.node ? undefined : "is not only for Node";
  if (target === undefined) return room.packages ? undefined : "may not import packages";
  if (!target.endsWith(".ts")) return "imports without the .ts extension";
  if (name === "client" && !typeOnly && CONCRETE.includes(target)) return "knows stores, transports and crypto by their types only";
  if (roomOf(target) === name || room.rooms.includes(roomOf(target))) return undefined;
  if (room.types?.includes(target)) return typeOnly ? undefined : "may import its types only";
  return `may not import ${roomOf(target)}`;
}

const brokenRules = (files: readonly SourceFile[]): string[] =>
  files.flatMap((file) => file.imports).flatMap((entry) => {
    const rule = brokenRule(entry);
    return rule === undefined ? [] : [`${entry.from} imports ${entry.specifier}: it ${rule}`];
  });

/** Packages of crypto/ that two of its files import. A package with subpaths (@noble/…) counts per subpath: each is a primitive of its own. */
function sharedPackages(files: readonly SourceFile[]): string[] {
  const users = new Map<string, Set<string>>();
  for (const { from, specifier, target, typeOnly } of files.flatMap((file) => file.imports)) {
    if (roomOf(from) !== "crypto" || target !== undefined || typeOnly) continue;
    users.set(specifier, (users.get(specifier) ?? new Set()).add(from));
  }
  return [...users].filter(([, paths]) => paths.size > 1).map(([specifier, paths]) => `${specifier} in ${[...paths].join(", ")}`);
}

const root = fileURLToPath(new URL("..", import.meta.url));
const sources = readdirSync(`${root}src`, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => readSource(`src/${path}`, readFileSync(`${root}src/${path}`, "utf8")));

describe("src", () => {
  test("every room imports only what it may", () => {
    expect(sources.length).toBeGreaterThan(20);
    expect(brokenRules(sources)).toEqual([]);
  });

  test("every relative import names a file", () => {
    const missing = sources.flatMap(({ imports }) => imports).filter(({ target }) => target !== undefined && !existsSync(root + target));
    expect(missing.map(({ from, specifier }) => `${from} → ${specifier}`)).toEqual([]);
  });

  test("there are no cycles", () => {
    expect(findCycles(sources)).toEqual([]);
  });

  test("exports are listed by name", () => {
    expect(sources.flatMap(({ path, looseExports }) => looseExports.map((found) => `${path}: ${found}`))).toEqual([]);
  });

  test("in crypto/, each package is imported in one file", () => {
    expect(sharedPackages(sources)).toEqual([]);
  });

  test("every package imported is a dependency of the package, not of its development", () => {
    const declared = [...Object.keys(MANIFEST.dependencies), ...Object.keys(MANIFEST.peerDependencies)];
    const packages = sources.flatMap(({ imports }) => imports).filter(({ specifier }) => !/^(?:\.|#|node:)/u.test(specifier));
    expect(packages.map(({ specifier }) => packageOf(specifier)).filter((name) => !declared.includes(name))).toEqual([]);
  });

  test("no file holds a second noun: 400 lines at most", () => {
    expect(sources.filter(({ lines }) => lines > 400).map(({ path, lines }) => `${path}: ${lines}`)).toEqual([]);
  });

  test("no file is named after nothing", () => {
    const vague = /(?:^|[/a-z])(?:manager|helper|handler|util|service|data|info|process|interface)s?(?=[A-Z./])/iu;
    expect(sources.filter(({ path }) => vague.test(path.slice("src/".length))).map(({ path }) => path)).toEqual([]);
  });
});

describe("package.json", () => {
  test("every entry of exports, imports and bin has its source", () => {
    expect(SOURCES.filter((source) => !existsSync(root + source))).toEqual([]);
  });

  test("every subpath carries the types of what it runs", () => {
    const entries = Object.entries(MANIFEST.exports).filter(([subpath]) => subpath !== "./package.json");
    expect(entries.length).toBe(PUBLIC_ENTRIES.length);
    for (const [subpath, target] of entries) {
      const path = PUBLIC_ENTRIES.find(([name]) => name === subpath)?.[1].replace(/^src/u, "./dist").replace(/\.ts$/u, "");
      expect(target, subpath).toEqual({ types: `${path ?? ""}.d.ts`, default: `${path ?? ""}.js` });
    }
  });
});

describe("the rules themselves", () => {
  const planted = (path: string, text: string): string[] => brokenRules([readSource(path, text)]);

  test.each([
    ["src/protocol/session.ts", `import { sha256 } from "@noble/hashes/sha2.js";`],
    ["src/protocol/session.ts", `import { nobleCrypto } from "../crypto/noble.ts";`],
    ["src/protocol/session.ts", `import { hash } from "../crypto/types.ts";`],
    ["src/protocol/session.ts", `import { readFileSync } from "node:fs";`],
    ["src/envelope/content.ts", `import { memoryStore } from "../store/memory.ts";`],
    ["src/store/memory.ts", `import type { Transport } from "../transport/types.ts";`],
    ["src/store/memory.ts", `import { encodeSession } from "../protocol/session.ts";`],
    ["src/transport/memory.ts", `const store = await import("../store/memory.ts");`],
    ["src/client/outbox.ts", `import { memoryStore } from "../store/memory.ts";`],
    ["src/client/outbox.ts", `import { defaults } from "#defaults";`],
    ["src/client/outbox.ts", `export { createRelay } from "../relay/index.ts";`],
    ["src/errors.ts", `import { concat } from "./bytes.ts";`],
    ["src/bytes.ts", `import { MiyuError } from "./errors";`],
    ["src/utils/strings.ts", `import { concat } from "../bytes.ts";`],
  ])("%s may not contain %s", (path, text) => {
    expect(planted(path, text)).toHaveLength(1);
  });

  test("what the rooms allow passes", () => {
    expect(planted("src/protocol/session.ts", `import type { Crypto } from "../crypto/types.ts"; import { type Hash } from "../crypto/types.ts";`)).toEqual([]);
    expect(planted("src/client/outbox.ts", `import type { Store } from "../store/types.ts"; import { encode } from "../envelope/envelope.ts";`)).toEqual([]);
    expect(planted("src/index.ts", `import { defaults } from "#defaults"; export { createClient } from "./client/createClient.ts";`)).toEqual([]);
  });

  test("a cycle, a default export, a star export and a shared package are found", () => {
    const a = readSource("src/client/a.ts", `import { b } from "./b.ts"; export default b; export * from "./b.ts";`);
    const b = readSource("src/client/b.ts", `import type { A } from "./a.ts"; export default class {} `);
    expect(findCycles([a, b])).toEqual(["src/client/a.ts → src/client/b.ts → src/client/a.ts"]);
    expect([a.looseExports, b.looseExports]).toEqual([["export default", "export *"], ["export default"]]);
    const both = ["src/crypto/noble.ts", "src/crypto/sodium.ts"].map((path) => readSource(path, `import { hmac } from "@noble/hashes/hmac.js";`));
    expect(sharedPackages(both)).toEqual(["@noble/hashes/hmac.js in src/crypto/noble.ts, src/crypto/sodium.ts"]);
  });
});
