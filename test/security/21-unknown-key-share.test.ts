// Attack 21: unknown key share: Mallory registers Alice's keys as hers, so Bob believes that what Alice wrote came from Mallory
// (X3DH §4.8). Guards: a list names its user and each device proves user and account (`decodeDeviceList`), the list must be the user's it
// was read for (`acceptDeviceList`), and the content names sender and recipient. Without them Alice's message opens as Mallory's.
import { expect, test } from "vitest";
import { decodeDirectoryRecord, encodeDirectoryRecord } from "../../src/envelope/bundle.ts";
import { decodeDeviceList, signDeviceList } from "../../src/envelope/deviceList.ts";
import { codeOf } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { attack, crypto, open, rejection, seal, World } from "./people.ts";
import { Villain } from "./villain.ts";

const random = seededRandom(testSeed("21 unknown key share"));

test("Alice's record under Mallory's name is refused, and her message is nobody else's", async () => {
  const world = new World(random);
  const [alice, bob] = await world.friends();
  const mallorys = world.directory("mallory");
  const { record } = (await mallorys.read("alice")) ?? { record: new Uint8Array() };
  await mallorys.publish(record, null);
  expect(await rejection(bob.client.encrypt("mallory", "hello"))).toBe("ERR_DEVICE_LIST");
  const { body } = await seal(alice, bob, "I love you");
  expect(await attack(bob, "mallory", body)).toBe("device-not-listed, none");
  expect(await open(bob, "alice", body)).toMatchObject({ kind: "message", text: "I love you", from: { user: "alice" } });
});

test("Alice's device on Mallory's list: nobody lists a key he does not hold", async () => {
  const world = new World(random);
  const [alice, bob] = await world.friends();
  const mallory = new Villain(random);
  const directory = world.directory("mallory");
  const { record } = (await directory.read("alice")) ?? { record: new Uint8Array() };
  const { deviceList, bundles } = decodeDirectoryRecord(record);
  const hers = decodeDeviceList(crypto, deviceList).devices;
  const options = { user: "mallory", epoch: 1, previousHash: new Uint8Array(32), devices: hers, removed: [] };
  expect(codeOf(() => signDeviceList(crypto, random.bytes, mallory.account.privateKey, options))).toBe("ERR_SIGNATURE");
  // The same without the check on the writer's side.
  const forged = signDeviceList({ ...crypto, xeddsaVerify: () => undefined }, random.bytes, mallory.account.privateKey, options);
  await mallory.publish(directory, encodeDirectoryRecord({ deviceList: forged.signed, bundles }));
  expect(await rejection(bob.client.encrypt("mallory", "hello"))).toBe("ERR_SIGNATURE");
  const { body } = await seal(alice, bob, "I love you");
  expect(await attack(bob, "mallory", body)).toBe("device-not-listed, none");
  expect(await open(bob, "alice", body)).toMatchObject({ from: { user: "alice", device: alice.client.device } });
});

test("a message for one person, passed on to another, does not open there", async () => {
  const world = new World(random);
  const [alice, bob] = await world.friends();
  const carol = await world.join("carol");
  await carol.client.safetyNumber("alice");
  const { body } = await seal(alice, bob, "for Bob");
  expect(await attack(carol, "alice", body)).toBe("no-session, none");
  // Even a peer who holds a session with both cannot say in its content that it was meant for another.
  const mallory = new Villain(random);
  const directory = world.directory("mallory");
  await mallory.publish(directory);
  await mallory.meet(directory, bob);
  await bob.client.safetyNumber("mallory");
  expect(await attack(bob, "mallory", mallory.envelope(bob, { content: { conversation: { kind: "direct", peer: "carol" } } }))).toBe("corrupt, none");
  expect(await open(bob, "mallory", mallory.envelope(bob))).toMatchObject({ kind: "message" });
});
