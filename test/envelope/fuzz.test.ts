/**
 * Every decoder of this layer against seeded mutations and truncations of valid input: a typed error or a value, nothing else.
 * The formats have one spelling each, so whatever still decodes must encode to the bytes it came from.
 * Where a signature or a seal would end the run early, a second round goes behind it (signatures not checked, or sealed anew).
 */
import { beforeAll, describe, expect, test } from "vitest";
import { concat, copy, utf8, type Bytes } from "../../src/bytes.ts";
import type { Crypto } from "../../src/crypto/types.ts";
import { decodeAccountFileHeader, encodeAccountFile, openAccountFile } from "../../src/envelope/accountFile.ts";
import { decodeDirectoryRecord, decodeStockedPreKey, encodeDirectoryRecord, encodeStockedPreKey, verifyBundle } from "../../src/envelope/bundle.ts";
import { decodeContent, encodeContent } from "../../src/envelope/content.ts";
import { decodeFrame, encodeBundleReply, encodeBundleRequest } from "../../src/envelope/control.ts";
import { decodeDeviceList } from "../../src/envelope/deviceList.ts";
import { decodeEnvelope, encodeEnvelope } from "../../src/envelope/envelope.ts";
import { padContent, unpadContent } from "../../src/envelope/padding.ts";
import { fromText, looksLikeMiyuText, toText } from "../../src/envelope/text.ts";
import { MiyuError } from "../../src/errors.ts";
import { seededRandom, testSeed, type SeededRandom } from "../support/random.ts";
import { bundle, content, crypto, envelope, keyPair, listOf, owner, type Owner } from "./fixtures.ts";

const ROUNDS = 20_000;
const random = seededRandom(testSeed("envelope fuzz"));
const unchecked: Crypto = { ...crypto, xeddsaVerify: () => undefined };
let alice: Owner;
beforeAll(() => {
  alice = owner(random, "alice", 2);
});

/** One to four changes: a bit, a byte, an interesting integer, a cut, a piece doubled, left out or moved. */
function mutate(source: Uint8Array, r: SeededRandom): Bytes {
  let bytes = copy(source);
  for (let i = r.int(4); i >= 0; i--) {
    const at = r.int(bytes.length);
    const size = r.int(Math.min(40, bytes.length)) + 1;
    switch (r.int(8)) {
      case 0: bytes = bytes.slice(0, at); break;
      case 1: bytes[at] = (bytes[at] ?? 0) ^ (1 << r.int(8)); break;
      case 2: bytes[at] = r.int(256); break;
      case 3: bytes.set(r.pick([[0, 0], [0xff, 0xff], [0x7f, 0xff], [0, 1], [1, 0]]).slice(0, bytes.length - at), at); break;
      case 4: bytes = concat(bytes.slice(0, at), bytes.slice(at, at + size), bytes.slice(at)); break;
      case 5: bytes = concat(bytes.slice(0, at), bytes.slice(at + size)); break;
      case 6: bytes.copyWithin(r.int(bytes.length), at, at + size); break;
      default: bytes[at] = ((bytes[at] ?? 0) + r.pick([-1, 1])) & 255;
    }
    if (bytes.length === 0) return bytes;
  }
  return bytes;
}

/** Runs `decode` on mutations of `seeds`; `decode` gives the bytes its value encodes to, or undefined where that is not defined. */
function fuzz(name: string, seeds: readonly Uint8Array[], decode: (bytes: Bytes) => Uint8Array | undefined, rounds = ROUNDS): void {
  let deep = 0;
  let accepted = 0;
  for (let round = 0; round < rounds; round++) {
    const bytes = mutate(random.pick(seeds), random);
    const before = copy(bytes);
    try {
      const again = decode(bytes);
      accepted++;
      deep++;
      if (again !== undefined && Buffer.compare(again, bytes) !== 0) throw new Error(`${name}: two spellings, seed ${String(random.seed)}, round ${String(round)}`);
    } catch (error) {
      if (!MiyuError.is(error)) throw error;
      const { offset, version } = error.detail as { offset?: number; version?: number };
      if (version === undefined ? offset === undefined || offset > 1 : bytes[0] !== version) deep++;
    }
    if (Buffer.compare(before, bytes) !== 0) throw new Error(`${name}: wrote to its input, seed ${String(random.seed)}, round ${String(round)}`);
  }
  console.info(`fuzz ${name}: ${String(rounds)} rounds, ${String(deep)} past the first byte, ${String(accepted)} decoded`);
  expect(deep / rounds).toBeGreaterThanOrEqual(0.3);
}

describe("fuzz", { timeout: 300_000 }, () => {
  test("padding", () => {
    const seeds = [0, 50, 126, 127, 500].map((n) => padContent(random.bytes(n)));
    fuzz("padding", seeds, (bytes) => padContent(unpadContent(bytes)));
  });

  test("content", () => {
    const one = content(random, alice, random.bytes(60));
    const seeds = [one, { ...one, recipientList: { epoch: 1, hash: random.bytes(32) } }, { ...one, conversation: { kind: "group" as const, group: "群" } }].map(encodeContent);
    fuzz("content", seeds, (bytes) => encodeContent(decodeContent(bytes)));
  });

  test("envelope", () => {
    const seeds = [0, 1, 5].map((n) => envelope(random, Array.from({ length: n }, () => random.bytes(16)), random.bytes(128)).bytes);
    fuzz("envelope", seeds, (bytes) => encodeEnvelope(decodeEnvelope(bytes)));
  });

  test("frame", () => {
    const seeds = [envelope(random, [random.bytes(16)], random.bytes(128)).bytes, encodeBundleRequest(random.bytes(16)), encodeBundleReply(random.bytes(16), random.bytes(90))];
    fuzz("frame", seeds, (bytes) => {
      const frame = decodeFrame(bytes);
      if (frame.kind === "envelope") return encodeEnvelope(frame.envelope);
      return frame.kind === "bundle-request" ? encodeBundleRequest(frame.nonce) : encodeBundleReply(frame.nonce, frame.record);
    });
  });

  test("text", () => {
    const seeds = [1, 2, 3, 200].map((n) => utf8(toText(random.bytes(n))));
    fuzz("text", [...seeds, utf8(`miyu1.${Buffer.from(random.bytes(40)).toString("base64")}`)], (bytes) => {
      const text = Buffer.from(bytes).toString("latin1");
      const value = fromText(text);
      if (value.length > 0) expect(looksLikeMiyuText(text)).toBe(true);
      expect(fromText(toText(value))).toEqual(value);
      return undefined;
    });
  });

  test("device list, behind its signatures", () => {
    const seeds = [alice.list.signed, listOf(random, alice, alice.list.devices, { epoch: 3, removed: [random.bytes(16), random.bytes(16)] }).signed];
    fuzz("device list, unchecked", seeds, (bytes) => decodeDeviceList(unchecked, bytes).signed);
  });

  test("device list, checked: no mutation is accepted", () => {
    const { signed } = alice.list;
    fuzz("device list", [signed], (bytes) => {
      const list = decodeDeviceList(crypto, bytes);
      expect(bytes).toEqual(signed);
      return list.signed;
    });
  });

  test("bundle", () => {
    const [device] = alice.devices;
    if (device === undefined) throw new Error("a device expected");
    const { signed } = bundle(random, "alice", device);
    const key = device.identity.publicKey;
    fuzz("bundle, unchecked", [signed], (bytes) => verifyBundle(unchecked, "alice", key, bytes).signed);
    fuzz("bundle", [signed], (bytes) => {
      const verified = verifyBundle(crypto, "alice", key, bytes);
      expect(bytes).toEqual(signed);
      return verified.signed;
    });
  });

  test("directory record", () => {
    const seeds = [0, 1, 3].map((n) => encodeDirectoryRecord({ deviceList: alice.list.signed, bundles: Array.from({ length: n }, () => random.bytes(194)) }));
    fuzz("directory record", seeds, (bytes) => encodeDirectoryRecord(decodeDirectoryRecord(bytes)));
  });

  test("stocked prekey", () => {
    const seeds = [1, 0xffffffff].map((id) => encodeStockedPreKey({ id, publicKey: keyPair(random).publicKey }));
    fuzz("stocked prekey", seeds, (bytes) => encodeStockedPreKey(decodeStockedPreKey(bytes)));
  });

  test("account file, outside and inside its seal", () => {
    const key = random.bytes(32);
    const kdf = { t: 3, mKiB: 65_536, p: 1, salt: random.bytes(16) };
    const file = encodeAccountFile(crypto, random.bytes, key, kdf, { user: "alice", accountPrivateKey: alice.account.privateKey, deviceList: alice.list });
    fuzz("account file header", [file.slice(0, 55)], (bytes) => void decodeAccountFileHeader(bytes));
    fuzz("account file", [file], (bytes) => {
      openAccountFile(crypto, key, bytes);
      expect(bytes).toEqual(file);
      return undefined;
    });
    const header = file.slice(0, 55);
    const plain = crypto.aeadOpen(key, header.subarray(31), header, file.subarray(55));
    fuzz("account file, sealed anew", [plain], (bytes) => {
      openAccountFile(unchecked, key, concat(header, crypto.aeadSeal(key, header.subarray(31), header, bytes)));
      return undefined;
    });
  });
});
