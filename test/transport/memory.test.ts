import { describe, expect, test } from "vitest";
import { fromUtf8, toBase64url, utf8 } from "../../src/bytes.ts";
import { memoryNetwork, type MemoryAdapter, type NetworkFaults, type Tap } from "../../src/transport/memory.ts";
import type { Adapter, InFrame } from "../../src/transport/types.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { directoryContract } from "./directory.contract.ts";
import { codeOf, frameTo, inbox, transportContract, type TransportWorld } from "./transport.contract.ts";

const random = seededRandom(testSeed("memory transport"));

transportContract(
  "memory",
  async (): Promise<TransportWorld> => {
    const network = memoryNetwork();
    const cables = new Map<Adapter, MemoryAdapter>();
    return Promise.resolve({
      async connect(user, device) {
        const adapter = network.adapter(user, { device });
        adapter.transport.attach(device);
        cables.set(adapter, adapter);
        return Promise.resolve(adapter);
      },
      cable: { cut: (adapter) => cables.get(adapter)?.offline(), restore: (adapter) => cables.get(adapter)?.online() },
      close: async () => Promise.resolve(),
    });
  },
  random,
);

directoryContract(
  "memory",
  async () => {
    const network = memoryNetwork();
    const close = async (): Promise<void> => Promise.resolve();
    const as = async (user: string) => {
      const { directory } = network.adapter(user);
      if (directory === undefined) throw new Error("no directory");
      return Promise.resolve(directory);
    };
    return Promise.resolve({ as, close });
  },
  random,
);

const contents = Array.from({ length: 100 }, (_, i) => `message ${String(i)} ${toBase64url(random.bytes(12))}`);

/** Sends every content from alice to bob under `faults`, resending what was refused, and returns what came. */
async function run(seed: number, faults: Partial<NetworkFaults>): Promise<{ bob: InFrame[]; alice: InFrame[]; taps: Tap[]; refused: number }> {
  const draw = seededRandom(seed);
  const network = memoryNetwork({ random: () => draw.u32() / 2 ** 32, faults, now: () => 0 });
  const taps: Tap[] = [];
  network.tap((tap) => taps.push(tap));
  const [a, b] = [toBase64url(draw.bytes(16)), toBase64url(draw.bytes(16))];
  const alice = network.adapter("alice", { device: a });
  const bob = network.adapter("bob", { device: b });
  const atAlice = inbox(alice.transport);
  const atBob = inbox(bob.transport);
  let refused = 0;
  // Offline while they are sent, so that order and delay have something to work on.
  bob.offline();
  for (const content of contents) {
    const frame = frameTo(alice.transport, "bob", content);
    while ((await codeOf(alice.transport.send(frame))) !== "resolved") refused++;
  }
  network.release();
  bob.online();
  await network.settled();
  expect(network.waiting("bob", b)).toBe(0);
  return { bob: atBob.frames, alice: atAlice.frames, taps, refused };
}

describe("memory network", () => {
  const seed = testSeed("memory faults");
  const sent = contents;
  const bodies = (frames: readonly InFrame[]): string[] => frames.map((frame) => fromUtf8(frame.body));

  test("without faults everything arrives once, in order", async () => {
    const { bob, alice, refused } = await run(seed, {});
    expect(bodies(bob)).toEqual(sent);
    expect([alice.length, refused]).toEqual([0, 0]);
  });

  test("the same seed gives the same run", async () => {
    const faults = { drop: 0.2, lose: 0.1, duplicate: 0.2, reorder: 0.3, delay: 0.2, truncate: 0.1, corrupt: 0.1, echo: 0.2, history: 0.1 };
    const [one, two] = [await run(seed, faults), await run(seed, faults)];
    expect(one.bob.map((frame) => [frame.id, toBase64url(frame.body), frame.replay])).toEqual(two.bob.map((frame) => [frame.id, toBase64url(frame.body), frame.replay]));
    expect(one.taps.length).toBe(two.taps.length);
    expect(one.refused).toBe(two.refused);
  });

  test("a dropped send is refused, and resending with its key brings it exactly once", async () => {
    const { bob, refused } = await run(seed, { drop: 0.4 });
    expect(refused).toBeGreaterThan(0);
    expect(bodies(bob)).toEqual(sent);
  });

  test("lost frames are missing, the others whole", async () => {
    const { bob, taps } = await run(seed, { lose: 0.3 });
    const lost = taps.filter((tap) => tap.faults.includes("lose")).length;
    expect(lost).toBeGreaterThan(0);
    expect(bob).toHaveLength(100 - lost);
    expect(sent).toEqual(expect.arrayContaining(bodies(bob)));
  });

  test("duplicates, order, delay and history change when and how often, never what", async () => {
    const doubled = await run(seed, { duplicate: 0.3 });
    expect(doubled.bob.length).toBeGreaterThan(100);
    const shuffled = await run(seed, { reorder: 0.3 });
    expect(bodies(shuffled.bob)).not.toEqual(sent);
    expect(bodies(shuffled.bob).sort()).toEqual([...sent].sort());
    const late = await run(seed, { delay: 0.3 });
    expect(bodies(late.bob)).not.toEqual(sent);
    expect(bodies(late.bob).sort()).toEqual([...sent].sort());
    const repeated = await run(seed, { history: 0.3 });
    const history = repeated.bob.filter((frame) => frame.replay === "history");
    expect(history.length).toBeGreaterThan(0);
    expect(sent).toEqual(expect.arrayContaining(bodies(history)));
    for (const { bob } of [doubled, repeated]) expect(new Set(bodies(bob))).toEqual(new Set(sent));
  });

  test("damage is what the tap says it is", async () => {
    const { bob, taps } = await run(seed, { truncate: 0.3, corrupt: 0.3 });
    expect(bob.map((frame) => toBase64url(frame.body))).toEqual(taps.map((tap) => toBase64url(tap.body)));
    const whole = new Set(sent.map((text) => toBase64url(utf8(text))));
    for (const tap of taps) expect(whole.has(toBase64url(tap.body))).toBe(tap.faults.length === 0);
    expect(taps.some((tap) => tap.faults.includes("truncate")) && taps.some((tap) => tap.faults.includes("corrupt"))).toBe(true);
  });

  test("echoes come back to the sending device, marked", async () => {
    const { alice } = await run(seed, { echo: 0.3 });
    expect(alice.length).toBeGreaterThan(0);
    for (const frame of alice) expect(frame).toMatchObject({ from: "alice", replay: "echo", conversation: { kind: "direct", peer: "bob" } });
  });

  test("an attached device keeps its mailbox over a new adapter, as after a reload", async () => {
    const network = memoryNetwork();
    const device = toBase64url(random.bytes(16));
    const before = network.adapter("bob");
    before.transport.attach(device);
    await before.transport.close();
    const alice = network.adapter("alice").transport;
    await alice.send(frameTo(alice, "bob", "while away"));
    expect(network.waiting("bob", device)).toBe(1);
    const after = network.adapter("bob");
    after.transport.attach(device);
    expect(bodies(await inbox(after.transport).count(1))).toEqual(["while away"]);
  });

  test("an unreachable directory says so", async () => {
    const adapter = memoryNetwork().adapter("alice");
    adapter.offline();
    expect(await codeOf(adapter.directory?.read("bob") ?? Promise.resolve())).toBe("ERR_TRANSPORT_UNAVAILABLE");
  });

  test("watchers hear of a publish until they stop", async () => {
    const network = memoryNetwork();
    const [alice, bob] = [network.adapter("alice").directory, network.adapter("bob").directory];
    let heard = 0;
    const stop = bob?.watch("alice", () => {
      heard++;
    });
    const version = await alice?.publish(utf8("one"), null);
    stop?.();
    await alice?.publish(utf8("two"), version ?? null);
    expect(heard).toBe(1);
  });
});
