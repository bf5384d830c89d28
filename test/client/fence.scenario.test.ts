// The fence: of two copies of one device only one sends.
import { MiyuError, type Directory } from "miyu";
import { memoryMedium, memoryStore } from "miyu/store/memory";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { testSeed } from "../support/random.ts";
import { cloneMedium, codeOf, listen, pause, until, world, type World } from "./world.ts";

let here: World;
beforeEach(() => {
  here = world(testSeed("fence"));
});
afterEach(() => here.close());

describe("fence", () => {
  test("a clone takes it, the original is stopped and told; in one device's tabs and restarts it is no matter", async () => {
    const medium = memoryMedium();
    const [alice, bob] = [await here.join("alice", { medium }), await here.join("bob")];
    const [atAlice, atBob] = [listen(alice.client), listen(bob.client)];
    await (await alice.client.send("bob", "one")).accepted();
    const tab = await here.join("alice", { medium });
    await tab.client.encrypt("bob", "from the other tab");
    await alice.client.encrypt("bob", "and from the first");
    await tab.client.close();
    const clone = await here.join("alice", { medium: cloneMedium(medium) });
    await clone.client.encrypt("bob", "from the clone");
    expect((await clone.client.describe()).weaker.map((one) => one.what)).not.toContain("fence");
    alice.adapter.offline();
    alice.adapter.online();
    const sealing = (): Promise<string> => alice.client.encrypt("bob", "x").then(() => "sealed", (error: unknown) => (MiyuError.is(error) ? error.code : "other"));
    await until("the original is refused", async () => (await sealing()) === "ERR_ROLLBACK");
    const held = await alice.client.send("bob", "never");
    await until("it is told", () => atAlice.kinds("fence-refused").length > 0 && atAlice.kinds("blocked").some((event) => event.id === held.id));
    expect(atAlice.kinds("blocked").at(-1)).toMatchObject({ error: { code: "ERR_ROLLBACK" } });
    expect((await alice.client.describe()).weaker.map((one) => one.what)).toContain("fence");
    await pause(20);
    expect(atBob.texts()).toEqual(["one"]);
    // Reading is not stopped.
    expect((await alice.client.history({ conversation: "bob" })).length).toBeGreaterThan(0);
  });

  test("prefer goes on, and is told all the same", async () => {
    const medium = memoryMedium();
    const alice = await here.join("alice", { medium, policy: { fence: "prefer" } });
    const bob = await here.join("bob");
    const atAlice = listen(alice.client);
    await (await alice.client.send("bob", "one")).accepted();
    const clone = await here.join("alice", { medium: cloneMedium(medium) });
    await clone.client.encrypt("bob", "from the clone");
    alice.adapter.offline();
    alice.adapter.online();
    await alice.client.encrypt("bob", "still");
    await until("it is told", () => atAlice.kinds("fence-refused").length === 1);
    expect(bob.client.user).toBe("bob");
  });

  test("where it cannot be asked for, sending waits; encrypt says so", async () => {
    const { directory } = here.network.adapter("alice");
    const reachable = { fence: true };
    const asked: Directory = {
      ...directory!,
      fence: (...rest) => (reachable.fence ? directory!.fence(...rest) : Promise.reject(new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "down" }))),
    };
    reachable.fence = false;
    const alice = await here.open({ user: "alice", directory: asked, store: memoryStore() });
    await here.join("bob");
    await until("bob can be found", async () => (await directory!.read("bob")) !== undefined);
    expect(await codeOf(alice.encrypt("bob", "x"))).toBe("ERR_TRANSPORT_UNAVAILABLE");
    reachable.fence = true;
    expect((await alice.encrypt("bob", "x")).body.length).toBeGreaterThan(100);
  });
});
