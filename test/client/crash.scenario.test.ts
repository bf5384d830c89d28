// Crashes at every transaction, before and after its commit: the process is gone, the medium stays, and the app repeats what it was not told.
import { MiyuError, type RawStore } from "miyu";
import { memoryMedium, memoryStore, type MemoryMedium } from "miyu/store/memory";
import { afterEach, describe, expect, test } from "vitest";
import { testSeed } from "../support/random.ts";
import { listen, messageKeysOf, pause, until, world, type Ears, type World } from "./world.ts";

let here: World | undefined;
afterEach(() => here?.close());

interface Crashing {
  readonly store: RawStore;
  readonly crashed: boolean;
  readonly transactions: number;
}

/** A store whose program dies at transaction `at`; afterwards nothing of it reaches the medium. */
function crashingStore(medium: MemoryMedium, at: number, when: "before" | "after"): Crashing {
  const inner = memoryStore({ medium });
  const state = { crashed: false, transactions: 0 };
  const gone = (): MiyuError => new MiyuError("ERR_STORE_UNAVAILABLE", { reason: "crashed" });
  const check = (): void => {
    if (state.crashed) throw gone();
  };
  const store: RawStore = {
    async transact(keys, fn) {
      check();
      if (++state.transactions === at) {
        if (when === "after") await inner.transact(keys, fn);
        state.crashed = true;
        throw gone();
      }
      const result = await inner.transact(keys, fn);
      // Committed, but nobody is left to hear of it.
      check();
      return result;
    },
    async list(prefix) {
      check();
      return inner.list(prefix);
    },
    keySlot: inner.keySlot,
    close: () => inner.close(),
  };
  return {
    store,
    get crashed() {
      return state.crashed;
    },
    get transactions() {
      return state.transactions;
    },
  };
}

const IDS = ["AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAQ", "AAAAAAAAAAAAAAAAAAAAAg"];

/** One crash at transaction `at`; false if the run ended before it. */
async function crashAt(seed: number, at: number, when: "before" | "after"): Promise<boolean> {
  here = world(seed);
  const { network } = here;
  const envelopes = new Map<string, Buffer>();
  network.tap((tap) => {
    if (tap.class !== "chat") return;
    const id = Buffer.from(tap.body.subarray(2, 18)).toString("base64url");
    const body = Buffer.from(tap.body);
    // Resent after a crash, a message is the same bytes.
    expect(envelopes.get(id) ?? body, `crash ${when} ${String(at)}`).toEqual(body);
    envelopes.set(id, body);
  });
  const bob = await here.join("bob");
  const atBob = listen(bob.client);
  const medium = memoryMedium();
  const crashing = crashingStore(medium, at, when);
  const heard: Ears[] = [];
  const live = async (store: RawStore): Promise<void> => {
    const { client } = await here!.join("alice", { store });
    const ears = listen(client);
    heard.push(ears);
    for (const [i, id] of IDS.entries()) await client.send("bob", `a${String(i)}`, { id });
    await until("all sent and heard, or crashed", async () => {
      bob.adapter.offline();
      bob.adapter.online();
      await pause(2);
      return store === crashing.store && crashing.crashed ? true : new Set(atBob.texts()).size === 3 && new Set(heard.flatMap((one) => one.texts())).size === 2;
    });
    // What was heard last is taken too.
    await pause(3);
    await client.close().catch(() => undefined);
  };
  for (let i = 0; i < 2; i++) await bob.client.send("alice", `b${String(i)}`);
  try {
    await live(crashing.store);
  } catch (error) {
    if (!crashing.crashed) throw error;
  }
  if (crashing.crashed) await live(memoryStore({ medium }));
  expect(atBob.texts().sort(), `crash ${when} ${String(at)}`).toEqual(["a0", "a1", "a2"]);
  expect(atBob.undecryptable).toEqual([]);
  // Heard at least once, and nothing else, over both lives.
  expect(new Set(heard.flatMap((one) => one.texts()))).toEqual(new Set(["b0", "b1"]));
  expect(heard.flatMap((one) => one.undecryptable)).toEqual([]);
  const keys = messageKeysOf([...envelopes.values()]);
  expect(new Set(keys).size).toBe(keys.length);
  await here.close();
  return crashing.crashed;
}

describe("crashes", () => {
  for (const when of ["before", "after"] as const) {
    test(`at every transaction, ${when} its commit`, async () => {
      const seed = testSeed(`crashes ${when} the commit`);
      let at = 0;
      let survived = 0;
      // In steps of one: every transaction of a life that sends three messages and hears two; how many there are depends on what meets.
      while (survived < 3) if (!(await crashAt(seed + at, ++at, when))) survived++;
      expect(at).toBeGreaterThan(20);
    }, 120_000);
  }

  test("what was not taken is delivered again; several iterators each see all, a slow one blocks nobody", async () => {
    here = world(testSeed("events"));
    const medium = memoryMedium();
    const [alice, bob] = [await here.join("alice"), await here.join("bob", { medium })];
    const slow = bob.client.events();
    const atBob = listen(bob.client);
    for (let i = 0; i < 5; i++) await alice.client.send("bob", `m${String(i)}`);
    await until("the fast one heard all", () => atBob.messages.length === 5);
    const nextText = async (events: typeof slow): Promise<string | undefined> => {
      for (;;) {
        const next = await events.next();
        if (next.done === true) return "ended";
        if (next.value.kind === "message") return next.value.text;
      }
    };
    expect([await nextText(slow), await nextText(slow)]).toEqual(["m0", "m1"]);
    await pause(5);
    await bob.client.close();
    // m0 was taken by both. m1 was handed to the slow one, which never asked for more.
    const again = await here.join("bob", { medium });
    const events = again.client.events();
    expect([await nextText(events), await nextText(events)]).toEqual(["m1", "m2"]);
    // An iterator that comes later begins with what nobody has taken.
    const later = again.client.events();
    expect(await nextText(later)).toBe("m2");
    await later.return?.();
    expect([await nextText(events), await nextText(events)]).toEqual(["m3", "m4"]);
    // Left behind by an abandoned iterator, yet taken by another one: it does not come again.
    const rest = nextText(events);
    await pause(5);
    await again.client.close();
    expect(await rest).toBe("ended");
    const last = await here.join("bob", { medium });
    const atLast = listen(last.client);
    await alice.client.send("bob", "fresh");
    await until("the fresh one came", () => atLast.texts().includes("fresh"));
    expect(atLast.texts()).toEqual(["fresh"]);
  });
});
