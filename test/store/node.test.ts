import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { MiyuError } from "../../src/errors.ts";
import { nodeStore } from "../../src/store/node.ts";
import type { RecordKey } from "../../src/store/types.ts";
import { openVault } from "../../src/store/vault.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { storeContract } from "./store.contract.ts";

const freshDirectory = (): Promise<string> => mkdtemp(join(tmpdir(), "miyu-store-"));

storeContract("node", async () => {
  const directory = await freshDirectory();
  return {
    open: () => Promise.resolve(nodeStore({ directory })),
    destroy: () => rm(directory, { recursive: true, force: true }),
    loseDeviceKey: async () => {
      await rm(join(directory, "device.key"), { force: true });
      await rm(join(directory, "device.key.new"), { force: true });
    },
  };
});

describe("node", () => {
  const session: RecordKey = { kind: "session", id: "alice/1" };
  const outbox: RecordKey = { kind: "outbox", id: "last" };
  const source = seededRandom(testSeed("node store"));
  let directory: string;
  let children: ChildProcess[] = [];
  // Beside the installed packages, which the program has to find.
  const program = fileURLToPath(new URL(`../../node_modules/.miyu-test/store-${String(process.pid)}.mjs`, import.meta.url));

  beforeAll(async () => {
    await build({ entryPoints: [fileURLToPath(new URL("node.child.ts", import.meta.url))], outfile: program, bundle: true, packages: "external", platform: "node", format: "esm", logLevel: "error" });
    return () => rm(program, { force: true });
  });
  beforeEach(async () => {
    directory = await freshDirectory();
  });
  afterEach(async () => {
    await Promise.all(children.map(kill));
    children = [];
    await rm(directory, { recursive: true, force: true });
  });

  const start = (mode: "write" | "hold"): ChildProcess => {
    const child = fork(program, [directory, mode], { execArgv: [] });
    children.push(child);
    return child;
  };

  async function kill(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  const openAgain = () => openVault(nodeStore({ directory }), nobleCrypto, source.bytes);

  const numberIn = (value: Uint8Array | undefined): number => (value === undefined ? 0 : new DataView(value.buffer).getUint32(0));

  test("SIGKILL while writing: nothing torn, nothing lost that was told", async () => {
    let told = 0;
    for (let run = 0; run < 8; run++) {
      const child = start("write");
      const enough = told + 1 + source.int(60);
      await new Promise<void>((resolve, reject) => {
        child.on("message", (message) => {
          if (typeof message === "number") told = Math.max(told, message);
          if (told >= enough) resolve();
        });
        child.on("error", reject);
        child.on("exit", () => { reject(new Error("the child ended by itself")); });
      });
      await kill(child);
      const vault = await openAgain();
      const [inSession, inOutbox] = await vault.transact([session, outbox], (view) => [numberIn(view.get(session)), numberIn(view.get(outbox))] as const);
      await vault.close();
      expect(inSession).toBe(inOutbox);
      expect(inSession).toBeGreaterThanOrEqual(told);
      told = inSession;
    }
  });

  test("SIGKILL while the vault is being made: it opens afterwards", async () => {
    for (let run = 0; run < 12; run++) {
      await rm(directory, { recursive: true, force: true });
      const child = start("hold");
      await once(child, "message");
      await new Promise((resolve) => setTimeout(resolve, source.int(30)));
      await kill(child);
      const vault = await openAgain();
      await vault.transact([session], (view) => { view.put(session, Uint8Array.of(run)); });
      await vault.close();
    }
  });

  test("a second process is refused while the first runs, and let in afterwards", async () => {
    const child = start("hold");
    await new Promise<void>((resolve) => child.on("message", (message) => { if (message === "open") resolve(); }));
    const raw = nodeStore({ directory });
    for (let i = 0; i < 2; i++) {
      await expect(raw.list("")).rejects.toSatisfy((error) => MiyuError.is(error, "ERR_STORE_UNAVAILABLE"));
    }
    await kill(child);
    expect(await raw.list("")).toHaveLength(1);
    await raw.close();
  });

  test.skipIf(process.platform === "win32")("only the owner may look into the directory and the key file", async () => {
    await chmod(directory, 0o755);
    const vault = await openAgain();
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect((await stat(join(directory, "device.key"))).mode & 0o777).toBe(0o600);
    expect((await readdir(directory)).sort()).toEqual(["device.key", "records"]);
    expect(vault.protection).toBe("key-file");
    await vault.close();
    const nested = join(directory, "a", "b");
    const raw = nodeStore({ directory: nested });
    await raw.list("");
    expect((await stat(nested)).mode & 0o777).toBe(0o700);
    await raw.close();
  });

  test("the key file is there, but the records are gone: lost, not begun anew", async () => {
    await (await openAgain()).close();
    await rm(join(directory, "records"), { recursive: true });
    const raw = nodeStore({ directory });
    for (let i = 0; i < 2; i++) {
      await expect(openVault(raw, nobleCrypto, source.bytes)).rejects.toSatisfy((error) => MiyuError.is(error, "ERR_STORE_LOST"));
    }
    expect(await raw.list("")).toEqual([]);
    await raw.close();
  });

  test("a key file cut short is damage; one cut short before it was ever used is made again", async () => {
    await (await openAgain()).close();
    await truncate(join(directory, "device.key"), 31);
    const raw = nodeStore({ directory });
    await expect(openVault(raw, nobleCrypto, source.bytes)).rejects.toSatisfy((error) => MiyuError.is(error, "ERR_STORE_CORRUPT"));
    await raw.close();
    const other = join(directory, "other");
    await mkdir(other);
    await writeFile(join(other, "device.key.new"), "cut short");
    const vault = await openVault(nodeStore({ directory: other }), nobleCrypto, source.bytes);
    expect((await stat(join(other, "device.key"))).size).toBe(32);
    await vault.close();
  });

  test("a damaged database says ERR_STORE_CORRUPT", async () => {
    await (await openAgain()).close();
    await writeFile(join(directory, "records", "CURRENT"), "damaged");
    const raw = nodeStore({ directory });
    await expect(raw.list("")).rejects.toSatisfy((error) => MiyuError.is(error, "ERR_STORE_CORRUPT"));
    await raw.close();
  });

  test("stores of one process share a directory, also by another path and while the last one closes", async () => {
    const link = `${directory}-link`;
    await symlink(directory, link);
    try {
      const [one, two] = [nodeStore({ directory }), nodeStore({ directory: link })];
      const raw = "02" + "aa".repeat(16);
      await one.transact([raw], (view) => { view.put(raw, Uint8Array.of(1)); });
      expect(await two.list("02")).toHaveLength(1);
      // Two databases on the same files would each see its own writes only.
      await one.transact([raw], (view) => { view.put(raw, Uint8Array.of(2)); });
      expect(await two.transact([raw], (view) => view.get(raw))).toEqual(Uint8Array.of(2));
      const closing = Promise.all([one.close(), two.close()]);
      const three = nodeStore({ directory });
      expect(await three.list("02")).toHaveLength(1);
      await closing;
      expect(await three.list("02")).toHaveLength(1);
      await three.close();
    } finally {
      await rm(link);
    }
  });

  test("a directory that cannot be made says ERR_STORE_UNAVAILABLE, and is tried again", async () => {
    const file = join(directory, "file");
    await writeFile(file, "");
    const raw = nodeStore({ directory: join(file, "inside") });
    await expect(raw.list("")).rejects.toSatisfy((error) => MiyuError.is(error, "ERR_STORE_UNAVAILABLE"));
    await rm(file);
    expect(await raw.list("")).toEqual([]);
    await raw.close();
  });

  test("without classic-level it says what to install", async () => {
    vi.resetModules();
    vi.doMock("classic-level", () => {
      throw new Error("Cannot find package 'classic-level'");
    });
    try {
      const fresh = await import("../../src/store/node.ts");
      const error: unknown = await fresh.nodeStore({ directory }).list("").catch((reason: unknown) => reason);
      expect(MiyuError.is(error, "ERR_USAGE") && error.message).toContain("npm install classic-level");
    } finally {
      vi.doUnmock("classic-level");
      vi.resetModules();
    }
  });
});
