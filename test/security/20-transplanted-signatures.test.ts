// Attack 20: a genuine prekey signature is moved to another id, device, user or purpose; Signal's own covers only the key. Guards: our
// bundle signature covers context, user and all fields (`signBundle`/`verifyBundle`), contexts of src/envelope/signing.ts keep purposes
// apart. Without the user or the context under the signature, one of the transplants below verifies.
import { describe, expect, test } from "vitest";
import { concat, copy, u32be, utf8 } from "../../src/bytes.ts";
import { decodeDirectoryRecord, encodeDirectoryRecord, signBundle, verifyBundle } from "../../src/envelope/bundle.ts";
import { decodeDeviceList, signDeviceList } from "../../src/envelope/deviceList.ts";
import { sign, SIGNED, verify, type SignedPurpose } from "../../src/envelope/signing.ts";
import { generateKeyPair, verifyPreKeyBundle } from "../../src/protocol/index.ts";
import { codeOf, Device } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { crypto, NOW, rejection, stateOf, World } from "./people.ts";
import { Villain } from "./villain.ts";

const random = seededRandom(testSeed("20 transplanted signatures"));

describe("a bundle's signature", () => {
  const mallory = new Villain(random);
  const { publicKey } = mallory.device.local.identityKeyPair;
  const bundle = mallory.bundle();

  test("holds for its user, key and fields only", () => {
    expect(codeOf(() => verifyBundle(crypto, "mallory", publicKey, bundle))).toBeUndefined();
    for (const user of ["alice", "Mallory", "mallory ", "mallor"]) expect(codeOf(() => verifyBundle(crypto, user, publicKey, bundle)), user).toBe("ERR_SIGNATURE");
    expect(codeOf(() => verifyBundle(crypto, "mallory", new Villain(random).device.local.identityKeyPair.publicKey, bundle))).toBe("ERR_SIGNATURE");
    // device 16, registration id 4, signed prekey id 4, and the time behind key and signature.
    const fields: [number, Uint8Array][] = [[1, random.bytes(16)], [17, u32be(8)], [21, u32be(2)], [122, random.bytes(8).fill(0, 0, 2)]];
    for (const [at, value] of fields) {
      const moved = copy(bundle);
      moved.set(value, at);
      expect(codeOf(() => verifyBundle(crypto, "mallory", publicKey, moved)), String(at)).toBe("ERR_SIGNATURE");
    }
  });

  test("another device's prekey with its genuine Signal signature does not fit in", () => {
    const other = new Device(random, 1);
    const { keyPair, signature } = other.signed;
    const { privateKey } = mallory.device.local.identityKeyPair;
    const options = { user: "mallory", device: mallory.device.id, registrationId: 7, signedPreKey: { id: 1, publicKey: keyPair.publicKey, signature }, createdAt: NOW };
    expect(codeOf(() => signBundle(crypto, random.bytes, privateKey, options))).toBe("ERR_SIGNATURE");
    expect(codeOf(() => verifyPreKeyBundle(crypto, { ...other.bundle(), identityKey: publicKey }))).toBe("ERR_SIGNATURE");
  });

  test("signatures for one purpose serve no other, and none is a Signal signature", () => {
    const pair = generateKeyPair(crypto, random.bytes);
    const purposes = Object.keys(SIGNED) as SignedPurpose[];
    const parts = random.bytes(33);
    for (const made of purposes) {
      const signature = sign(crypto, random.bytes, pair.privateKey, made, parts);
      for (const asked of purposes) expect(codeOf(() => verify(crypto, pair.publicKey, asked, signature, parts)), `${made} as ${asked}`).toBe(made === asked ? undefined : "ERR_SIGNATURE");
      expect(codeOf(() => crypto.xeddsaVerify(pair.publicKey.subarray(1), parts, signature))).toBe("ERR_SIGNATURE");
    }
    const contexts = Object.values(SIGNED).map((text) => utf8(text));
    expect(contexts.every((context) => context[0] === 0x6d && context.at(-1) === 0)).toBe(true);
    for (const one of contexts) expect(contexts.filter((other) => Buffer.from(other).subarray(0, one.length).equals(one))).toHaveLength(1);
  });

  test("a device's proof is for one account", () => {
    const thief = new Villain(random, "thief");
    const stolen = mallory.ownList.devices;
    const list = { user: "thief", epoch: 1, previousHash: new Uint8Array(32), devices: stolen, removed: [] };
    expect(codeOf(() => signDeviceList(crypto, random.bytes, thief.account.privateKey, list))).toBe("ERR_SIGNATURE");
    expect(codeOf(() => decodeDeviceList(crypto, mallory.ownList.signed))).toBeUndefined();
  });
});

test("a directory that serves one user's record, or one device's bundle, for another's", async () => {
  const world = new World(random);
  await world.friends();
  await world.join("carol");
  const genuine = world.directory("alice");
  const records = new Map(await Promise.all(["bob", "carol"].map(async (user) => [user, (await genuine.read(user))?.record ?? new Uint8Array()] as const)));
  const [bobs, carols] = ["bob", "carol"].map((user) => decodeDirectoryRecord(records.get(user) ?? new Uint8Array()));
  if (!bobs || !carols) throw new Error("no records");
  const lies = {
    "another's record": records.get("carol") ?? new Uint8Array(),
    "another's bundle under the right list": encodeDirectoryRecord({ deviceList: bobs.deviceList, bundles: carols.bundles }),
    "another's bundle under the right device id": encodeDirectoryRecord({
      deviceList: bobs.deviceList,
      bundles: carols.bundles.map((bytes) => concat(bytes.subarray(0, 1), bobs.bundles[0]?.subarray(1, 17) ?? new Uint8Array(), bytes.subarray(17))),
    }),
  };
  const codes: Record<string, string | undefined> = {};
  for (const [name, record] of Object.entries(lies)) {
    const dave = await world.join(`dave ${name}`, { directory: { ...world.directory(`dave ${name}`), read: (user) => (user === "bob" ? Promise.resolve({ record, version: "x" }) : genuine.read(user)) } });
    await dave.client.encrypt("carol", "so that the fence is granted");
    const before = await stateOf(dave);
    codes[name] = await rejection(dave.client.encrypt("bob", "secret"));
    const peers = (text: string): string[] => text.split("\n").filter((line) => !line.startsWith("bob "));
    expect(peers(await stateOf(dave))).toEqual(peers(before));
  }
  expect(codes).toEqual({ "another's record": "ERR_DEVICE_LIST", "another's bundle under the right list": "ERR_NO_SESSION", "another's bundle under the right device id": "ERR_SIGNATURE" });
});
