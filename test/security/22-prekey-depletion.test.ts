// Attack 22: an attacker claims all one-time prekeys, so first messages fall back on the signed prekey alone (Prekey Pogo,
// arXiv 2504.07323). Guards: an event on both sides (`claim` of src/client/keyExchange.ts, `note` of src/client/receiving.ts), refill below 25 up
// to 4 times a day (src/client/refill.ts), and 3 claims per claimer, device and hour (src/relay/http.ts). Without them it goes unseen or on.
import { expect, test } from "vitest";
import { createRelay } from "../../src/relay/index.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { inside, open, say, seal, settled, World, type Person } from "./people.ts";
import { Villain } from "./villain.ts";

const random = seededRandom(testSeed("22 prekey depletion"));
const told = ({ events }: Person): string[] => events.flatMap((event) => (event.kind === "prekeys" ? [`${event.reason} ${event.user}`] : []));
const privateKeys = (person: Person): Promise<number> => inside(person, async (vault) => (await vault.list("preKey")).length);

test("a first message without a one-time prekey is told to both, one with is not", async () => {
  const world = new World(random);
  const [alice, bob] = [await world.join("alice"), await world.join("bob")];
  const directory = world.directory("thief");
  while ((await directory.claim("bob", bob.client.device)) !== undefined);
  const carol = await world.join("carol");
  await say(alice, bob, "no key left");
  await say(alice, carol, "one used");
  await settled(alice, bob, carol);
  expect(told(alice)).toEqual(["no-one-time-key bob"]);
  expect(told(bob)).toContain("no-one-time-key alice");
  expect(told(carol)).toEqual([]);
});

test("the private key of a used one-time prekey is gone, and no message opens with it again", async () => {
  const world = new World(random);
  const [alice, bob] = [await world.join("alice"), await world.join("bob")];
  const before = await privateKeys(bob);
  await say(alice, bob, "hi");
  await settled(bob);
  expect(await privateKeys(bob)).toBe(before - 1);
});

test("stock that runs low is refilled, four times a day, then the app is told", async () => {
  const world = new World(random);
  const bob = await world.join("bob");
  const directory = world.directory("bob");
  const thief = world.directory("thief");
  const stock = (): Promise<number> => directory.stock(bob.client.device, []);
  expect(await stock()).toBe(100);
  const mallory = new Villain(random);
  await mallory.publish(world.directory("mallory"));
  const stocks: number[] = [];
  for (let round = 0; round < 5; round++) {
    while ((await stock()) > 20) await thief.claim("bob", bob.client.device);
    // A first message, of a session of its own, has the stock looked at.
    await mallory.meet(world.directory("mallory"), bob);
    await open(bob, "mallory", mallory.envelope(bob));
    await settled(bob);
    stocks.push(await stock());
  }
  expect(stocks.slice(0, 3)).toEqual([100, 100, 100]);
  expect(stocks.at(-1)).toBeLessThan(25);
  expect(told(bob)).toContain("refill-limit bob");
  expect(told(bob).filter((line) => line === "refill-limit bob")).toHaveLength(stocks.filter((count) => count < 25).length);
  // The next day it goes on.
  world.now += 25 * 60 * 60 * 1000;
  await mallory.meet(world.directory("mallory"), bob, { oneTime: false });
  const carol = await world.join("carol");
  await say(carol, bob, "hi");
  await settled(bob);
  expect(await stock()).toBe(100);
});

test("the relay hands one claimer three prekeys of a device an hour, each of them once", async () => {
  const relay = await createRelay({ memory: true, demo: true });
  try {
    const device = Buffer.alloc(16, 3).toString("base64url");
    const call = (user: string, path: string, body?: Uint8Array<ArrayBuffer>): Promise<Response> =>
      fetch(`http://127.0.0.1:${String(relay.port)}${path}`, { method: "POST", headers: { authorization: `Bearer demo:${user}` }, ...(body && { body }) });
    const stocked = Uint8Array.from([0, 9, ...Array.from({ length: 9 }, (_, i) => [0, 1, i]).flat()]);
    expect((await call("bob", `/v1/prekeys/${device}`, stocked)).status).toBe(200);
    const got: number[] = [];
    const statuses: number[] = [];
    for (let i = 0; i < 5; i++) {
      const reply = await call("mallory", `/v1/claims/bob/${device}`);
      statuses.push(reply.status);
      if (reply.status === 200) got.push(...new Uint8Array(await reply.arrayBuffer()));
    }
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
    const reply = await call("alice", `/v1/claims/bob/${device}`);
    expect(reply.status).toBe(200);
    got.push(...new Uint8Array(await reply.arrayBuffer()));
    expect(new Set(got).size).toBe(4);
  } finally {
    await relay.close();
  }
});

test("control: a steady conversation uses no prekeys and tells nothing", async () => {
  const world = new World(random);
  const [alice, bob] = await world.friends();
  const before = await privateKeys(bob);
  for (let i = 0; i < 5; i++) await open(bob, alice, (await seal(alice, bob, String(i))).body);
  expect([await privateKeys(bob), told(bob), told(alice)]).toEqual([before, [], []]);
});
