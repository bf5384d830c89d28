import { beforeAll, describe, expect, test } from "vitest";
import { compare, concat, copy, type Bytes } from "../../src/bytes.ts";
import { acceptDeviceList, decodeDeviceList, MAX_REMOVED, proveDevice, signDeviceList, SUITES, type DeviceEntry, type DeviceList } from "../../src/envelope/deviceList.ts";
import { SIGNED } from "../../src/envelope/signing.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { codeOf, crypto, device, errorOf, flip, keyPair, listOf, owner, type Owner } from "./fixtures.ts";

const random = seededRandom(testSeed("device list"));
let alice: Owner;
beforeAll(() => {
  alice = owner(random, "alice", 3);
});
const entries = (): readonly DeviceEntry[] => alice.devices.map((one) => one.entry);

/** Signs any bytes as the account would: what a holder of the account key could put out. */
const signRaw = (bytes: Uint8Array): Bytes => concat(bytes, crypto.xeddsaSign(alice.account.privateKey, concat(new TextEncoder().encode(SIGNED["device list"]), bytes), random.bytes(64)));
const unsigned = (list: DeviceList): Bytes => list.signed.slice(0, -64);
const rule = (run: () => unknown): unknown => {
  const error = errorOf(run);
  expect(error.code).toBe("ERR_DEVICE_LIST");
  return (error.detail as { rule?: string }).rule;
};

describe("device list bytes", { timeout: 60_000 }, () => {
  test("round trip, sorted, owning its bytes", () => {
    const source = copy(alice.list.signed);
    const decoded = decodeDeviceList(crypto, source);
    source.fill(0);
    expect(decoded).toEqual(alice.list);
    expect(decoded.devices).toEqual([...entries()].sort((a, b) => compare(a.device, b.device)));
    expect(decoded.accountKey).toEqual(alice.account.publicKey);
    expect(decoded.signed).toHaveLength(1 + 2 + 5 + 33 + 4 + 32 + 2 + 3 * 118 + 2 + 64);
  });

  test("signing again gives another signature and the same hash", () => {
    const again = listOf(random, alice, entries());
    expect(again.signed).not.toEqual(alice.list.signed);
    expect(again.hash).toEqual(alice.list.hash);
    expect(acceptDeviceList(crypto, alice.list, again, "alice")).toBe("same");
    expect(listOf(random, alice, entries(), { epoch: 2 }).hash).not.toEqual(alice.list.hash);
  });

  test("every byte of a signed list, flipped: a typed error", () => {
    for (let at = 0; at < alice.list.signed.length; at++) {
      expect(codeOf(() => decodeDeviceList(crypto, flip(alice.list.signed, at, at % 8))), `byte ${String(at)}`).toMatch(/^ERR_(DECODE|VERSION|SIGNATURE)$/);
    }
  });

  test("every truncation and one byte too many are refused", () => {
    for (let n = 0; n < alice.list.signed.length; n++) expect(codeOf(() => decodeDeviceList(crypto, alice.list.signed.subarray(0, n)))).toBe("ERR_DECODE");
    expect(codeOf(() => decodeDeviceList(crypto, concat(alice.list.signed, Uint8Array.of(0))))).toBe("ERR_DECODE");
  });

  test("order, doubles, keys and epochs: refused even when the account key signed them", () => {
    const bytes = unsigned(listOf(random, alice, entries(), { epoch: 5, removed: [random.bytes(16), random.bytes(16)] }));
    const firstAt = 1 + 2 + 5 + 33 + 4 + 32 + 2;
    const entry = (i: number): Bytes => bytes.slice(firstAt + 118 * i, firstAt + 118 * (i + 1));
    const put = (at: number, part: Uint8Array): Bytes => {
      const out = copy(bytes);
      out.set(part, at);
      return out;
    };
    expect(codeOf(() => decodeDeviceList(crypto, signRaw(bytes)))).toBeUndefined();
    const removedAt = firstAt + 3 * 118 + 2;
    const cases: Record<string, Bytes> = {
      "devices out of order": put(firstAt, concat(entry(1), entry(0))),
      "one device twice": put(firstAt, entry(1)),
      "one identity key twice": put(firstAt + 118 + 16, entry(0).subarray(16, 49)),
      "no suite": bytes.with(firstAt + 49, 0),
      "added in an epoch to come": put(firstAt + 50, Uint8Array.of(0, 0, 0, 6)),
      "a key of another type": bytes.with(firstAt + 16, 8),
      "a key with its top bit set": bytes.with(firstAt + 48, 0xff),
      "removed out of order": put(removedAt, concat(bytes.subarray(removedAt + 16, removedAt + 32), bytes.subarray(removedAt, removedAt + 16))),
      "removed twice": put(removedAt, bytes.subarray(removedAt + 16, removedAt + 32)),
      "257 devices": put(firstAt - 2, Uint8Array.of(1, 1)),
    };
    for (const [name, changed] of Object.entries(cases)) expect(codeOf(() => decodeDeviceList(crypto, signRaw(changed))), name).toBe("ERR_DECODE");
    const only = unsigned(listOf(random, alice, entries().slice(0, 1), { epoch: 2, removed: [random.bytes(16)] }));
    const listed = only.slice(firstAt, firstAt + 16);
    expect(codeOf(() => decodeDeviceList(crypto, signRaw(concat(only.subarray(0, -16), listed))))).toBe("ERR_DECODE");
  });

  test("a key has one spelling: u of 2²⁵⁵ − 19 and above is refused, the one below is not", () => {
    const bytes = unsigned(listOf(random, alice, entries()));
    const keyAt = 1 + 2 + 5;
    const key = (low: number): Bytes => Uint8Array.from({ length: 33 }, (_, i) => (i === 0 ? 5 : i === 1 ? low : i === 32 ? 0x7f : 0xff));
    const withKey = (low: number): Bytes => concat(bytes.subarray(0, keyAt), key(low), bytes.subarray(keyAt + 33), new Uint8Array(64));
    expect(codeOf(() => decodeDeviceList(crypto, withKey(0xed)))).toBe("ERR_DECODE");
    expect(codeOf(() => decodeDeviceList(crypto, withKey(0xec)))).toBe("ERR_SIGNATURE");
  });

  test("a version to come is ERR_VERSION", () => {
    expect(errorOf(() => decodeDeviceList(crypto, alice.list.signed.with(0, 2))).detail).toEqual({ what: "device list", version: 2 });
  });

  test("unknown suites are kept, so an older reader does not strip them", () => {
    const entry = { ...device(random, "alice", alice.account.publicKey).entry, suites: SUITES.x3dh | SUITES.pqxdh | 128 };
    expect(decodeDeviceList(crypto, listOf(random, alice, [entry]).signed).devices[0]?.suites).toBe(131);
  });

  test("limits and fields of the signer", () => {
    const options = { user: "alice", epoch: 1, previousHash: new Uint8Array(32), devices: entries(), removed: [] };
    const signing = (more: object): string | undefined => codeOf(() => signDeviceList(crypto, random.bytes, alice.account.privateKey, { ...options, ...more }));
    expect(signing({})).toBeUndefined();
    expect(signing({ user: "" })).toBe("ERR_USAGE");
    expect(signing({ user: "\udc00" })).toBe("ERR_USAGE");
    expect(signing({ epoch: -1 })).toBe("ERR_USAGE");
    expect(signing({ previousHash: new Uint8Array(31) })).toBe("ERR_USAGE");
    expect(signing({ devices: entries().map((entry) => ({ ...entry, suites: 256 })) })).toBe("ERR_USAGE");
    expect(signing({ devices: Array.from({ length: 257 }, () => entries()[0]) })).toBe("ERR_TOO_LARGE");
    expect(signing({ removed: Array.from({ length: MAX_REMOVED + 1 }, () => random.bytes(16)) })).toBe("ERR_TOO_LARGE");
    expect(signing({ devices: [entries()[0], entries()[0]] })).toBe("ERR_DECODE");
    expect(codeOf(() => signDeviceList(crypto, random.bytes, random.bytes(31), options))).toBe("ERR_USAGE");
  });
});

describe("device proof", () => {
  const listing = (entry: DeviceEntry, who: Owner = alice): unknown => listOf(random, who, [entry]);

  test("nobody lists a key he does not hold", () => {
    const stranger = keyPair(random);
    const good = device(random, "alice", alice.account.publicKey);
    expect(codeOf(() => listing(good.entry))).toBeUndefined();
    expect(errorOf(() => listing({ ...good.entry, identityKey: stranger.publicKey })).detail).toEqual({ what: "device proof" });
  });

  test("a proof for another user, account or device does not serve", () => {
    const mallory = owner(random, "mallory", 1);
    const { identity, entry } = device(random, "alice", alice.account.publicKey);
    const proof = (user: string, accountKey: Bytes, id: Bytes): Bytes => proveDevice(crypto, random.bytes, { user, accountKey, device: id, identityPrivateKey: identity.privateKey });
    expect(codeOf(() => listing({ ...entry, proof: proof("alice", alice.account.publicKey, entry.device) }))).toBeUndefined();
    expect(codeOf(() => listing({ ...entry, proof: proof("alicf", alice.account.publicKey, entry.device) }))).toBe("ERR_SIGNATURE");
    expect(codeOf(() => listing({ ...entry, proof: proof("alice", mallory.account.publicKey, entry.device) }))).toBe("ERR_SIGNATURE");
    expect(codeOf(() => listing({ ...entry, proof: proof("alice", alice.account.publicKey, random.bytes(16)) }))).toBe("ERR_SIGNATURE");
    expect(codeOf(() => listing(entry, { ...mallory, user: "alice" }))).toBe("ERR_SIGNATURE");
  });
});

describe("which list may follow which", () => {
  const next = (more: Parameters<typeof listOf>[3] = {}, devices: readonly DeviceEntry[] = entries(), who: Pick<Owner, "user" | "account"> = alice): DeviceList =>
    listOf(random, who, devices, { epoch: 2, previousHash: alice.list.hash, ...more });
  const accept = (list: DeviceList, known: DeviceList | undefined = alice.list): string => acceptDeviceList(crypto, known, list, "alice");

  test("accepted: the first, the same, the next, one after a gap, a device more, a device removed", () => {
    expect(acceptDeviceList(crypto, undefined, alice.list, "alice")).toBe("newer");
    expect(accept(alice.list)).toBe("same");
    expect(accept(next())).toBe("newer");
    expect(accept(next({ epoch: 40, previousHash: random.bytes(32) }))).toBe("newer");
    expect(accept(next({}, [...entries(), device(random, "alice", alice.account.publicKey, 2).entry]))).toBe("newer");
    const [gone, ...left] = entries();
    expect(accept(next({ removed: [gone?.device ?? new Uint8Array(0)] }, left))).toBe("newer");
  });

  test("user: a list of another user, also as the first", () => {
    const other = owner(random, "bob", 1);
    expect(rule(() => accept(other.list))).toBe("user");
    expect(rule(() => acceptDeviceList(crypto, undefined, other.list, "alice"))).toBe("user");
    expect(rule(() => acceptDeviceList(crypto, other.list, alice.list, "alice"))).toBe("user");
  });

  test("account: the same user under another account key, whatever its epoch", () => {
    const account = keyPair(random);
    const stranger = device(random, "alice", account.publicKey);
    expect(rule(() => accept(next({}, [stranger.entry], { user: "alice", account })))).toBe("account");
    expect(rule(() => accept(next({ epoch: 0 }, [{ ...stranger.entry, since: 0 }], { user: "alice", account })))).toBe("account");
  });

  test("epoch: an older list is not taken back", () => {
    const second = next();
    expect(rule(() => accept(alice.list, second))).toBe("epoch");
    expect(accept(second, second)).toBe("same");
  });

  test("fork: another list of the same epoch, or a next one that grew out of another", () => {
    expect(rule(() => accept(listOf(random, alice, entries().slice(1))))).toBe("fork");
    expect(rule(() => accept(next({ previousHash: random.bytes(32) })))).toBe("fork");
  });

  test("identity: a known id under another key, a known key under another id", () => {
    const [first, ...rest] = entries();
    if (first === undefined) throw new Error("three devices expected");
    const identity = keyPair(random);
    const prove = (id: Bytes, privateKey: Bytes): Bytes => proveDevice(crypto, random.bytes, { user: "alice", accountKey: alice.account.publicKey, device: id, identityPrivateKey: privateKey });
    const swapped = { ...first, identityKey: identity.publicKey, proof: prove(first.device, identity.privateKey) };
    expect(rule(() => accept(next({}, [swapped, ...rest])))).toBe("identity");
    const id = random.bytes(16);
    const moved = { ...first, device: id, proof: prove(id, alice.devices[0]?.identity.privateKey ?? id) };
    expect(rule(() => accept(next({ removed: [first.device] }, [moved, ...rest])))).toBe("identity");
  });

  test("removed: an id back, an id forgotten, a device gone without a word", () => {
    const [first, ...rest] = entries();
    if (first === undefined) throw new Error("three devices expected");
    const without = next({ removed: [first.device] }, rest);
    const third = { epoch: 3, previousHash: without.hash };
    expect(accept(next({ ...third, removed: [first.device] }, rest), without)).toBe("newer");
    expect(rule(() => accept(next(third, [first, ...rest]), without))).toBe("removed");
    expect(rule(() => accept(next({ ...third, epoch: 9 }, [first, ...rest]), without))).toBe("removed");
    expect(rule(() => accept(next(third, rest), without))).toBe("removed");
    expect(rule(() => accept(next({}, rest)))).toBe("removed");
  });
});
