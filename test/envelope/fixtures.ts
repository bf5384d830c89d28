/** One user with two devices, and what hangs on them: made from a seed, with real keys and signatures. */
import { concat, type Bytes } from "../../src/bytes.ts";
import { nobleCrypto as crypto } from "../../src/crypto/noble.ts";
import { signBundle, type DeviceBundle } from "../../src/envelope/bundle.ts";
import type { Content } from "../../src/envelope/content.ts";
import { proveDevice, signDeviceList, SUITES, type DeviceEntry, type DeviceList } from "../../src/envelope/deviceList.ts";
import { encodeEnvelope, sealBody, slotTag, type Envelope, type SealedBody } from "../../src/envelope/envelope.ts";
import { MiyuError } from "../../src/errors.ts";
import type { SeededRandom } from "../support/random.ts";

export { crypto };

/** An X25519 pair: private 32 bytes (clamped), public 33 bytes. */
export interface Pair {
  readonly privateKey: Bytes;
  readonly publicKey: Bytes;
}

export function keyPair(random: SeededRandom): Pair {
  const privateKey = random.bytes(32);
  privateKey[0] = (privateKey[0] ?? 0) & 248;
  privateKey[31] = ((privateKey[31] ?? 0) & 127) | 64;
  return { privateKey, publicKey: concat(Uint8Array.of(5), crypto.x25519PublicKey(privateKey)) };
}

export interface Device {
  readonly identity: Pair;
  readonly entry: DeviceEntry;
}

export function device(random: SeededRandom, user: string, accountKey: Uint8Array, since = 1, suites: number = SUITES.x3dh): Device {
  const identity = keyPair(random);
  const id = random.bytes(16);
  const proof = proveDevice(crypto, random.bytes, { user, accountKey, device: id, identityPrivateKey: identity.privateKey });
  return { identity, entry: { device: id, identityKey: identity.publicKey, suites, since, proof } };
}

export interface Owner {
  readonly user: string;
  readonly account: Pair;
  readonly devices: readonly Device[];
  readonly list: DeviceList;
}

/** A user with `count` devices and a first list. */
export function owner(random: SeededRandom, user = "alice", count = 2): Owner {
  const account = keyPair(random);
  const devices = Array.from({ length: count }, () => device(random, user, account.publicKey));
  return { user, account, devices, list: listOf(random, { user, account }, devices.map((one) => one.entry)) };
}

export function listOf(
  random: SeededRandom,
  { user, account }: { readonly user: string; readonly account: Pair },
  devices: readonly DeviceEntry[],
  more: { readonly epoch?: number; readonly previousHash?: Bytes; readonly removed?: readonly Bytes[] } = {},
): DeviceList {
  const { epoch = 1, previousHash = new Uint8Array(32), removed = [] } = more;
  return signDeviceList(crypto, random.bytes, account.privateKey, { user, epoch, previousHash, devices, removed });
}

export function bundle(random: SeededRandom, user: string, { identity, entry }: Device): DeviceBundle {
  const preKey = keyPair(random);
  const signature = crypto.xeddsaSign(identity.privateKey, preKey.publicKey, random.bytes(64));
  const signedPreKey = { id: 7, publicKey: preKey.publicKey, signature };
  return signBundle(crypto, random.bytes, identity.privateKey, { user, device: entry.device, registrationId: 4711, signedPreKey, createdAt: 1_760_000_000_000 });
}

export function content(random: SeededRandom, from: Owner, body: Bytes): Content {
  const reference = { epoch: from.list.epoch, hash: from.list.hash };
  const senderDevice = from.devices[0]?.entry.device ?? new Uint8Array(16);
  return {
    senderUser: from.user,
    senderDevice,
    conversation: { kind: "direct", peer: "bob" },
    sentAt: 1_760_000_000_123,
    senderList: reference,
    recipientList: random.chance(0.5) ? { epoch: 3, hash: random.bytes(32) } : undefined,
    mediaType: "text/plain",
    body,
    control: undefined,
  };
}

/** An envelope for `devices`. The slots hold opaque bytes: opening the Signal message is not this layer's. */
export function envelope(random: SeededRandom, devices: readonly Uint8Array[], padded: Uint8Array): { sealed: SealedBody; bytes: Bytes } {
  const id = random.bytes(16);
  const sealed = sealBody(crypto, random.bytes, { id, senderDevice: random.bytes(16) }, padded);
  const slots = devices.map((one, i): Envelope["slots"][number] => ({ tag: slotTag(crypto, id, one), kind: i % 2 === 0 ? "signal" : "preKey", message: random.bytes(141) }));
  return { sealed, bytes: encodeEnvelope({ header: sealed.header, slots, body: sealed.body }) };
}

/** A copy of `bytes` with one bit of byte `at` turned. */
export function flip(bytes: Uint8Array, at: number, bit = 0): Bytes {
  const out = new Uint8Array(bytes);
  out[at] = (out[at] ?? 0) ^ (1 << bit);
  return out;
}

/** The code `run` fails with; undefined if it does not fail. Anything but a MiyuError is thrown on. */
export function codeOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    if (MiyuError.is(error)) return error.code;
    throw error;
  }
  return undefined;
}

/** The error `run` fails with. */
export function errorOf(run: () => unknown): MiyuError {
  try {
    run();
  } catch (error) {
    if (MiyuError.is(error)) return error;
    throw error;
  }
  throw new Error("expected an error");
}
