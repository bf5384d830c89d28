// List references in contents: whoever sees a newer one named reads again before sending. Lists of one device under several epochs cannot be made
// through the public API yet, so this signs them itself, with the keys out of the device's own vault.
import { nobleCrypto } from "miyu/crypto/noble";
import { MiyuError, type Client, type Directory } from "miyu";
import { memoryMedium, memoryStore, type MemoryMedium } from "miyu/store/memory";
import { afterEach, beforeEach, expect, test } from "vitest";
import { getOwnList, openAccount, putOwnList } from "../../src/client/account.ts";
import { RECORDS } from "../../src/client/naming.ts";
import { decodeDeviceList, signDeviceList } from "../../src/envelope/deviceList.ts";
import { openVault } from "../../src/store/vault.ts";
import { testSeed } from "../support/random.ts";
import { codeOf, DAY, world, type World } from "./world.ts";

let here: World;
beforeEach(() => {
  here = world(testSeed("named lists"));
});
afterEach(() => here.close());

/** Signs the next list of a device that is not running; `fork`: instead another list of the same epoch. */
async function nextList(user: string, medium: MemoryMedium, fork = false): Promise<void> {
  const random = (length: number) => here.random.bytes(length);
  const store = await openVault(memoryStore({ medium }), nobleCrypto, random);
  const account = await openAccount(nobleCrypto, store, user, { restored: false, make: () => Promise.reject(new Error("the device is there")) });
  const { signed } = await store.transact([RECORDS.ownList], getOwnList);
  const list = decodeDeviceList(nobleCrypto, signed);
  const next = signDeviceList(nobleCrypto, random, account.accountKeyPair.privateKey, {
    user,
    epoch: fork ? list.epoch : list.epoch + 1,
    previousHash: fork ? here.random.bytes(32) : list.hash,
    devices: list.devices,
    removed: fork ? [here.random.bytes(16)] : [],
  });
  await store.transact([RECORDS.ownList], (view) => { putOwnList(view, next, false); });
  await store.close();
}

test("a newer list named in a message is read before the next send, refused if withheld, and forks are refused", async () => {
  const reads: string[] = [];
  const kept = new Map<string, Awaited<ReturnType<Directory["read"]>>>();
  const real = here.network.adapter("alice").directory;
  if (real === undefined) throw new Error("no directory");
  const watched: Directory = {
    ...real,
    async read(user, options) {
      reads.push(user);
      return kept.get(user) ?? real.read(user, options);
    },
  };
  const alice = await here.open({ user: "alice", directory: watched, store: memoryStore() });
  const medium = memoryMedium();
  const openBob = (): Promise<Client> => here.open({ user: "bob", directory: here.network.adapter("bob").directory ?? watched, store: memoryStore({ medium }) });
  let bob = await openBob();
  await alice.encrypt("bob", "hello");
  const old = await real.read("bob");
  await bob.close();
  await nextList("bob", medium);
  bob = await openBob();
  reads.length = 0;
  await alice.encrypt("bob", "nothing named yet");
  expect(reads).toEqual([]);
  const sealed = await bob.encrypt("alice", "under the second list");
  kept.set("bob", old);
  expect(await alice.decrypt({ from: "bob", body: sealed.body })).toMatchObject({ text: "under the second list" });
  // Read again, but the directory shows the old one: known to be outdated, so nothing is sealed.
  expect(await codeOf(alice.encrypt("bob", "x"))).toBe("ERR_DEVICE_LIST");
  expect(reads.length).toBeGreaterThan(0);
  kept.clear();
  await alice.encrypt("bob", "y");
  reads.length = 0;
  await alice.encrypt("bob", "z");
  expect(reads).toEqual([]);
  const ruleOf = (): Promise<unknown> => alice.encrypt("bob", "x").then(() => "sealed", (error: unknown) => (MiyuError.is(error, "ERR_DEVICE_LIST") ? error.detail.rule : error));
  await bob.close();
  await nextList("bob", medium, true);
  await openBob();
  here.clock.ahead += 1.5 * DAY;
  // The same epoch with another content, and then an older one.
  expect(await ruleOf()).toBe("fork");
  kept.set("bob", old);
  expect(await ruleOf()).toBe("epoch");
});
