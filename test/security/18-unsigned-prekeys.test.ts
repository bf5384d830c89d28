// Attack 18: the signature of a signed prekey is not checked, or only its length (libsignal-node, agent-governance-toolkit PR 1437).
// Guards: `verifyPreKeyBundle` in src/protocol/preKeys.ts and `verifyBundle` in src/envelope/bundle.ts, before anything is derived or
// stored (`believe` of src/client/keyExchange.ts). Without them a flipped bit, zeros or another's signature start a session.
import { describe, expect, test } from "vitest";
import { concat, type Bytes } from "../../src/bytes.ts";
import { decodeDirectoryRecord, encodeDirectoryRecord } from "../../src/envelope/bundle.ts";
import { initiateSession, verifyPreKeyBundle, type VerifiedPreKeyBundle } from "../../src/protocol/index.ts";
import { codeOf, Device, NOW } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { rejection, stateOf, World } from "./people.ts";
import { PROVIDERS } from "./providers.ts";
import { flip } from "./villain.ts";

const random = seededRandom(testSeed("18 unsigned prekeys"));

describe.each(PROVIDERS)("$crypto.name", ({ crypto }) => {
  test("every bit of signature, prekey and identity key counts; nothing unverified starts a session", () => {
    const bob = new Device(random, 2, crypto);
    const alice = new Device(random, 1, crypto);
    const bundle = bob.bundle();
    const { signedPreKey, identityKey } = bundle;
    const with_ = (change: Partial<typeof signedPreKey>): typeof bundle => ({ ...bundle, signedPreKey: { ...signedPreKey, ...change } });
    const forged = [
      ...Array.from({ length: 64 }, (_, i) => with_({ signature: flip(signedPreKey.signature, i, i & 7) })),
      // The top bit of u is masked by X25519 itself; what is signed are the bytes.
      ...Array.from({ length: 32 }, (_, i) => with_({ publicKey: flip(signedPreKey.publicKey, i + 1, i & 7) })),
      ...Array.from({ length: 31 }, (_, i) => ({ ...bundle, identityKey: flip(identityKey, i + 1, i & 7) })),
      ...[0, 1, 63, 65, 128].map((length) => with_({ signature: concat(signedPreKey.signature, new Uint8Array(64)).slice(0, length) })),
      with_({ signature: new Uint8Array(64) }),
      with_({ signature: new Device(random, 3, crypto).signed.signature }),
    ];
    for (const one of forged) expect(codeOf(() => verifyPreKeyBundle(crypto, one))).toBe("ERR_SIGNATURE");
    const before = alice.snapshot();
    const unverified = bundle as VerifiedPreKeyBundle;
    expect(codeOf(() => initiateSession(crypto, random.bytes, alice.record, alice.local, unverified, NOW))).toBe("ERR_USAGE");
    // A copy of a verified bundle with something else in it is not verified.
    const swapped = JSON.parse(JSON.stringify(verifyPreKeyBundle(crypto, bundle))) as VerifiedPreKeyBundle;
    expect(codeOf(() => initiateSession(crypto, random.bytes, alice.record, alice.local, swapped, NOW))).toBe("ERR_USAGE");
    expect(alice.snapshot()).toBe(before);
    alice.initiate(bob);
    expect(alice.record.current).toBeDefined();
  });
});

test("a client refuses a record with one wrong bit in any signature or signed field, and stores nothing", async () => {
  const world = new World(random);
  const genuine = world.directory("bob");
  let forged: Bytes | undefined;
  const directory = { ...world.directory("alice"), read: async (user: string) => (user === "bob" && forged ? { record: forged, version: "x" } : genuine.read(user)) };
  const alice = await world.join("alice", { directory });
  await world.join("carol");
  await alice.client.encrypt("carol", "so that the fence is granted");
  await world.join("bob");
  const { record } = (await genuine.read("bob")) ?? { record: new Uint8Array() };
  const { deviceList, bundles } = decodeDirectoryRecord(record);
  const [bundle] = bundles;
  if (bundle === undefined) throw new Error("no bundle");
  const before = await stateOf(alice);
  const encode = (list: Uint8Array, ...own: Uint8Array[]): Bytes => encodeDirectoryRecord({ deviceList: list, bundles: own });
  const cases: [string, Bytes, RegExp][] = [
    // Version, then device id: a bundle for nobody. Then every signed byte, both signatures among them.
    ...Array.from({ length: bundle.length - 17 }, (_, i): [string, Bytes, RegExp] => [`bundle byte ${String(i + 17)}`, encode(deviceList, flip(bundle, i + 17, i & 7)), /^ERR_(SIGNATURE|DECODE)$/u]),
    ...Array.from({ length: deviceList.length - 1 }, (_, i): [string, Bytes, RegExp] => [`list byte ${String(i + 1)}`, encode(flip(deviceList, i + 1, i & 7), bundle), /^ERR_(SIGNATURE|DECODE)$/u]),
    ["no signature", encode(deviceList, bundle.slice(0, -64)), /^ERR_DECODE$/u],
    ["a signature of zeros", encode(deviceList, concat(bundle.subarray(0, -64), new Uint8Array(64))), /^ERR_SIGNATURE$/u],
    ["a list without a signature", encode(deviceList.slice(0, -64), bundle), /^ERR_(SIGNATURE|DECODE)$/u],
  ];
  for (const [name, bytes, code] of cases) {
    forged = bytes;
    expect(await rejection(alice.client.encrypt("bob", "secret")), name).toMatch(code);
  }
  expect(await stateOf(alice)).toBe(before);
  // A good list without a bundle is no forgery: there is nobody to write to yet.
  forged = encode(deviceList);
  expect(await rejection(alice.client.encrypt("bob", "secret"))).toBe("ERR_NO_SESSION");
  forged = undefined;
  expect((await alice.client.encrypt("bob", "secret")).text).toMatch(/^miyu1\./u);
}, 120_000);
