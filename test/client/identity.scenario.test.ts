// Who is who: trust on first use, changed account keys, safety numbers, recovery.
import type { Client, ClientEvent, Directory } from "miyu";
import { memoryMedium, memoryStore } from "miyu/store/memory";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { testSeed } from "../support/random.ts";
import { codeOf, DAY, listen, pause, slotsOf, until, world, type Person, type World } from "./world.ts";

let here: World;
beforeEach(() => {
  here = world(testSeed("identity"));
});
afterEach(() => here.close());

const cable = (person: Person): void => {
  person.adapter.offline();
  person.adapter.online();
};
const numberAt = async (client: Client, user: string): Promise<string> => (await client.safetyNumber(user)).digits;
const listed = async (person: Person, device: string): Promise<boolean> => {
  const found = await here.network.adapter("observer").directory?.read(person.client.user);
  return found !== undefined && Buffer.from(found.record).includes(Buffer.from(device, "base64url"));
};

describe("identity", () => {
  test("a changed account key: told once, nothing goes out, what comes is marked; the right number resumes", async () => {
    const [alice, bob] = [await here.join("alice"), await here.join("bob")];
    const [atAlice, atBob] = [listen(alice.client), listen(bob.client)];
    await (await alice.client.send("bob", "hello")).accepted();
    await until("bob heard", () => atBob.messages.length === 1);
    await bob.client.send("alice", "hello yourself");
    await until("alice heard", () => atAlice.messages.length === 1);
    expect(atAlice.messages[0]?.trust).toBe("first-use");
    const oldNumber = await numberAt(alice.client, "bob");
    expect(oldNumber).toBe(await numberAt(bob.client, "alice"));
    // Spaces as a person would type them.
    await alice.client.trust("bob", oldNumber.replaceAll(/(\d{5})/g, "$1 "));
    await alice.client.trust("bob", (await bob.client.safetyNumber("alice")).scannable);
    expect(await codeOf(alice.client.trust("bob", (await alice.client.safetyNumber("bob")).scannable))).toBe("ERR_IDENTITY_CHANGED");
    expect((await alice.client.safetyNumber("bob")).trust).toBe("verified");
    await bob.client.send("alice", "verified now");
    await until("alice heard", () => atAlice.messages.length === 2);
    expect(atAlice.messages[1]?.trust).toBe("verified");

    await bob.client.close();
    const again = await here.join("bob");
    const atAgain = listen(again.client);
    await until("bob's new list is out", () => listed(again, again.client.device));
    // Alice does not know yet: it is queued, and held back once the list was read again.
    here.clock.ahead += 1.5 * DAY;
    const queued = await alice.client.send("bob", "for whom?");
    await until("it is held back", () => atAlice.kinds("blocked").length === 1);
    expect(atAlice.kinds("blocked")).toMatchObject([{ id: queued.id, error: { code: "ERR_IDENTITY_CHANGED", detail: { user: "bob" } } }]);
    await again.client.send("alice", "it is me, really");
    await until("alice heard the new one", () => atAlice.messages.length === 3);
    expect(atAlice.messages[2]).toMatchObject({ text: "it is me, really", trust: "changed", from: { device: again.client.device } });
    expect(await codeOf(alice.client.send("bob", "x"))).toBe("ERR_IDENTITY_CHANGED");
    expect(await codeOf(alice.client.encrypt("bob", "x"))).toBe("ERR_IDENTITY_CHANGED");
    cable(alice);
    await pause(30);
    const changes = atAlice.kinds("identity-changed");
    expect(new Set(changes.map((event) => event.id)).size).toBe(1);
    expect(changes).toHaveLength(1);
    expect(atAgain.messages).toEqual([]);
    const newNumber = await numberAt(alice.client, "bob");
    expect(newNumber).not.toBe(oldNumber);
    expect(newNumber).toBe(await numberAt(again.client, "alice"));
    expect((await alice.client.safetyNumber("bob")).trust).toBe("changed");
    for (const wrong of [oldNumber, "", "1".repeat(60), new Uint8Array(3), newNumber.slice(1)]) {
      expect(await codeOf(alice.client.trust("bob", wrong))).toBe("ERR_IDENTITY_CHANGED");
    }
    expect(await codeOf(alice.client.trust("carol", newNumber))).toBe("ERR_NO_SESSION");
    await alice.client.trust("bob", newNumber);
    await queued.accepted();
    await until("the queued one arrived", () => atAgain.messages.length === 1);
    expect(atAgain.texts()).toEqual(["for whom?"]);
    await again.client.send("alice", "good");
    await until("alice heard", () => atAlice.messages.length === 4);
    expect(atAlice.messages[3]?.trust).toBe("verified");
  });

  test("an undecided change is told again after a restart, and goes away if the old key comes back", async () => {
    const medium = memoryMedium();
    const bobs = memoryMedium();
    const [alice, bob] = [await here.join("alice", { medium }), await here.join("bob", { medium: bobs })];
    listen(bob.client);
    await (await alice.client.send("bob", "hello")).accepted();
    await pause(20);
    await bob.client.close();
    const stranger = await here.join("bob");
    await until("the stranger's list is out", () => listed(stranger, stranger.client.device));
    await stranger.client.send("alice", "hi");
    const atAlice = listen(alice.client);
    await until("alice was told", () => atAlice.kinds("identity-changed").length === 1);
    await alice.client.close();
    const later = await here.join("alice", { medium });
    const atLater = listen(later.client);
    await until("told again", () => atLater.kinds("identity-changed").length === 1);
    expect((atLater.kinds("identity-changed")[0] as ClientEvent).id).toBe(atAlice.kinds("identity-changed")[0]?.id);
    await stranger.client.close();
    const back = await here.join("bob", { medium: bobs });
    const atBack = listen(back.client);
    await until("the old list is out again", () => listed(back, back.client.device));
    expect(await codeOf(later.client.send("bob", "x"))).toBe("ERR_IDENTITY_CHANGED");
    // Who looks at the number sees the key in use, and it is the trusted one again.
    expect((await later.client.safetyNumber("bob")).trust).toBe("first-use");
    await later.client.send("bob", "you are back");
    await until("bob heard", () => atBack.texts().includes("you are back"));
  });

  test("recovery: the same account on a new device; the old one is removed, written to no more, and told", async () => {
    const oldMedium = memoryMedium();
    const [alice, bob] = [await here.join("alice"), await here.join("bob", { medium: oldMedium })];
    const atBob = listen(bob.client);
    await (await alice.client.send("bob", "hello")).accepted();
    await until("bob heard", () => atBob.messages.length === 1);
    const number = await numberAt(alice.client, "bob");
    const file = await bob.client.exportAccount("correct horse");
    expect(Buffer.from(file).includes(Buffer.from(bob.client.device, "base64url"))).toBe(false);
    await bob.client.close();
    const restore = (given: Uint8Array, passphrase: string, options = {}) => here.join("bob", { restore: { file: given, passphrase }, ...options });
    expect(await codeOf(restore(file.slice(0, 40), "correct horse"))).toBe("ERR_DECODE");
    expect(await codeOf(restore(file, "wrong"))).toBe("ERR_PASSPHRASE");
    expect(await codeOf(restore(file, "correct horse", { store: memoryStore({ medium: oldMedium }) }))).toBe("ERR_USAGE");
    const restored = await restore(file, "correct horse");
    const atRestored = listen(restored.client);
    expect(restored.client.device).not.toBe(bob.client.device);
    // The message of the new device makes alice read the list again: same account, so nothing to decide.
    await restored.client.send("alice", "back on a new phone");
    const atAlice = listen(alice.client);
    await until("alice heard", () => atAlice.messages.length === 1);
    expect(atAlice.messages[0]).toMatchObject({ text: "back on a new phone", trust: "first-use", from: { device: restored.client.device } });
    expect(atAlice.kinds("identity-changed")).toEqual([]);
    expect(await numberAt(alice.client, "bob")).toBe(number);
    const sealed = await alice.client.encrypt("bob", "only for the new one");
    expect(slotsOf(sealed.body)).toHaveLength(1);
    expect(await restored.client.decrypt({ from: "alice", body: sealed.body })).toMatchObject({ text: "only for the new one" });
    const old = await here.join("bob", { medium: oldMedium });
    const atOld = listen(old.client);
    await until("the old one is told", () => atOld.kinds("device-removed").length === 1);
    expect(await old.client.decrypt({ from: "alice", body: sealed.body })).toMatchObject({ kind: "undecryptable", cause: "no-session" });
    expect(await codeOf(old.client.encrypt("alice", "I am still here"))).toBe("ERR_DEVICE_LIST");
    await alice.client.send("bob", "welcome");
    await until("restored heard", () => atRestored.texts().includes("welcome"));
  }, 120_000);

  test("a directory that goes back, or shows a newer list to nobody, is noticed", async () => {
    const observer = here.network.adapter("observer").directory;
    const kept = new Map<string, Awaited<ReturnType<Directory["read"]>>>();
    const alices = here.network.adapter("alice");
    const lying: Directory = { ...alices.directory!, read: async (user, options) => kept.get(user) ?? alices.directory!.read(user, options) };
    const alice = await here.open({ user: "alice", directory: lying, store: memoryStore() });
    const bobsMedium = memoryMedium();
    const bob = await here.join("bob", { medium: bobsMedium });
    await until("bob is listed", () => listed(bob, bob.client.device));
    await alice.encrypt("bob", "hello");
    const before = await observer?.read("bob");
    const file = await bob.client.exportAccount("p");
    await bob.client.close();
    const restored = await here.join("bob", { restore: { file, passphrase: "p" } });
    await until("the new list is out", () => listed(restored, restored.client.device));
    const fromNew = await restored.client.encrypt("alice", "from the new one");
    kept.set("bob", before);
    expect(await alice.decrypt({ from: "bob", body: fromNew.body })).toMatchObject({ kind: "undecryptable", cause: "device-not-listed" });
    kept.clear();
    expect(await alice.decrypt({ from: "bob", body: fromNew.body })).toMatchObject({ text: "from the new one" });
    kept.set("bob", before);
    here.clock.ahead += 1.5 * DAY;
    expect(await codeOf(alice.encrypt("bob", "x"))).toBe("ERR_DEVICE_LIST");
    kept.set("bob", { record: Uint8Array.of(1, 2, 3), version: "v" });
    expect(await codeOf(alice.encrypt("bob", "x"))).toBe("ERR_DECODE");
    kept.clear();
    await alice.encrypt("bob", "x");
  }, 120_000);
});
