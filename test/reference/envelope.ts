/**
 * A second implementation of docs/protocol.md, written from that page alone: slow, plain, and importing nothing of the library.
 * SHA, HKDF and ChaCha20-Poly1305 come from Node, curve arithmetic from noble. It does the operations of §11.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync } from "node:crypto";
import { ed25519, x25519 } from "@noble/curves/ed25519.js";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Fields = Readonly<Record<string, Json>>;

/** A refusal with one of the codes of §1. */
export class Refused extends Error {
  readonly code: string;
  readonly rule: string | undefined;

  constructor(code: string, rule?: string) {
    super(code);
    this.code = code;
    this.rule = rule;
  }
}

function refuse(code: string, rule?: string): never {
  throw new Refused(code, rule);
}

// §1 Conventions

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const unhex = (value: Json | undefined): Buffer => Buffer.from(value as string, "hex");
const join = (...parts: readonly (Uint8Array | string)[]): Buffer => Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "utf8") : part)));
const sha256 = (...parts: readonly (Uint8Array | string)[]): Buffer => createHash("sha256").update(join(...parts)).digest();
const uint = (value: number, bytes: number): Buffer => Buffer.from(BigInt(value).toString(16).padStart(bytes * 2, "0"), "hex");
const lp = (x: Uint8Array): Buffer => join(uint(x.length, 2), x);
const lp32 = (x: Uint8Array): Buffer => join(uint(x.length, 4), x);
const name = (value: Json | undefined): Buffer => lp(Buffer.from(value as string, "utf8"));

/** Takes fields off the front. */
class Cursor {
  readonly all: Buffer;
  at = 0;

  constructor(all: Uint8Array) {
    this.all = Buffer.from(all);
  }

  take(length: number): Buffer {
    if (this.at + length > this.all.length) refuse("ERR_DECODE");
    this.at += length;
    return this.all.subarray(this.at - length, this.at);
  }

  uint(bytes: number): number {
    const value = BigInt(`0x${hex(this.take(bytes))}`);
    return value > 2n ** 53n - 1n ? refuse("ERR_DECODE") : Number(value);
  }

  lp(): Buffer {
    return this.take(this.uint(2));
  }

  text(most: number): string {
    const bytes = this.lp();
    const text = bytes.toString("utf8");
    if (bytes.length === 0 || bytes.length > most || !Buffer.from(text, "utf8").equals(bytes)) refuse("ERR_DECODE");
    return text;
  }

  name(): string {
    return this.text(1024);
  }

  key(): Buffer {
    const key = this.take(33);
    const u = BigInt(`0x${hex(Buffer.from(key.subarray(1)).reverse())}`);
    return key[0] === 5 && u < 2n ** 255n - 19n ? key : refuse("ERR_DECODE");
  }

  version(): void {
    if (this.uint(1) !== 1) refuse("ERR_VERSION");
  }

  end(): void {
    if (this.at !== this.all.length) refuse("ERR_DECODE");
  }
}

const rotate = (value: number, by: number): number => ((value << by) | (value >>> (32 - by))) >>> 0;

/** HChaCha20 (draft-irtf-cfrg-xchacha §2.2): the key for ChaCha20-Poly1305 from a key and the first 16 bytes of the nonce. */
function hchacha20(key: Buffer, nonce: Buffer): Buffer {
  const state = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574];
  for (let i = 0; i < 8; i++) state.push(key.readUInt32LE(4 * i));
  for (let i = 0; i < 4; i++) state.push(nonce.readUInt32LE(4 * i));
  const get = (i: number): number => state[i] ?? 0;
  const mix = (a: number, b: number, c: number, d: number): void => {
    for (const [to, from, target, by] of [[a, b, d, 16], [c, d, b, 12], [a, b, d, 8], [c, d, b, 7]] as const) {
      state[to] = (get(to) + get(from)) >>> 0;
      state[target] = rotate((get(target) ^ get(to)) >>> 0, by);
    }
  };
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 4; i++) mix(i, 4 + i, 8 + i, 12 + i);
    for (let i = 0; i < 4; i++) mix(i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4));
  }
  const out = Buffer.alloc(32);
  [0, 1, 2, 3, 12, 13, 14, 15].forEach((from, i) => out.writeUInt32LE(get(from), 4 * i));
  return out;
}

function aeadSeal(key: Buffer, nonce: Buffer, aad: Buffer, text: Buffer): Buffer {
  const cipher = createCipheriv("chacha20-poly1305", hchacha20(key, nonce), join(Buffer.alloc(4), nonce.subarray(16)), { authTagLength: 16 });
  cipher.setAAD(aad, { plaintextLength: text.length });
  return join(cipher.update(text), cipher.final(), cipher.getAuthTag());
}

function aeadOpen(key: Buffer, nonce: Buffer, aad: Buffer, sealed: Buffer, code: string): Buffer {
  if (sealed.length < 16) refuse(code);
  const decipher = createDecipheriv("chacha20-poly1305", hchacha20(key, nonce), join(Buffer.alloc(4), nonce.subarray(16)), { authTagLength: 16 });
  decipher.setAAD(aad, { plaintextLength: sealed.length - 16 });
  decipher.setAuthTag(sealed.subarray(-16));
  try {
    return join(decipher.update(sealed.subarray(0, -16)), decipher.final());
  } catch {
    return refuse(code);
  }
}

// §2 Signatures and hashes

const Point = ed25519.Point;
const L = Point.CURVE().n;
const PRIME = 2n ** 255n - 19n;
const little = (bytes: Uint8Array): bigint => BigInt(`0x${hex(Buffer.from(bytes).reverse())}`);
const scalar = (value: bigint): Buffer => Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse();
const hashToScalar = (...parts: readonly Uint8Array[]): bigint => little(createHash("sha512").update(join(...parts)).digest()) % L;
const publicKeyOf = (privateKey: Buffer): Buffer => join(Buffer.of(5), x25519.getPublicKey(privateKey));

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = base % PRIME, left = exponent; left > 0n; left >>= 1n, square = (square * square) % PRIME) if (left & 1n) result = (result * square) % PRIME;
  return result;
}

function sign(privateKey: Buffer, message: Buffer, random: Buffer): Buffer {
  const k = Buffer.from(privateKey);
  k[0] = (k[0] ?? 0) & 248;
  k[31] = ((k[31] ?? 0) & 127) | 64;
  const a = little(k) % L;
  const A = Point.BASE.multiply(a).toBytes();
  const r = hashToScalar(Buffer.of(0xfe), Buffer.alloc(31, 0xff), k, message, random);
  const R = Point.BASE.multiply(r).toBytes();
  const signature = join(R, scalar((hashToScalar(R, A, message) * a + r) % L));
  signature[63] = ((signature[63] ?? 0) & 0x7f) | ((A[31] ?? 0) & 0x80);
  return signature;
}

function verify(key: Buffer, message: Buffer, signature: Buffer): void {
  const u = little(key.subarray(1)) % 2n ** 255n;
  const y = ((((u - 1n + PRIME) % PRIME) * power(u + 1n, PRIME - 2n)) % PRIME + PRIME) % PRIME;
  const A = scalar(y);
  A[31] = (A[31] ?? 0) | ((signature[63] ?? 0) & 0x80);
  const s = Buffer.from(signature.subarray(32));
  s[31] = (s[31] ?? 0) & 0x7f;
  const R = signature.subarray(0, 32);
  try {
    const point = Point.fromBytes(A);
    const expected = Point.BASE.multiplyUnsafe(little(s)).subtract(point.multiplyUnsafe(hashToScalar(R, A, message)));
    if (little(s) < L && !point.isSmallOrder() && !expected.isSmallOrder() && hex(expected.toBytes()) === hex(R)) return;
  } catch {
    // Not a point: refused below.
  }
  refuse("ERR_SIGNATURE");
}

// §3 Envelope

const bindOf = (header: Buffer, body: Buffer): Buffer => sha256("miyu/bind/v1\0", lp(header), lp32(body));
const tagOf = (id: Buffer, device: Buffer): Buffer => sha256("miyu/slot/v1\0", id, device).subarray(0, 8);
const bodyKeyOf = (contentKey: Buffer): Buffer => Buffer.from(hkdfSync("sha256", contentKey, Buffer.alloc(0), "miyu/body/v1", 32));

function seal(input: Fields): Fields {
  const contentKey = unhex(input["contentKey"]);
  const header = join(Buffer.of(1, 1), unhex(input["id"]), unhex(input["senderDevice"]), sha256("miyu/key/v1\0", contentKey));
  const bodyKey = bodyKeyOf(contentKey);
  const body = aeadSeal(bodyKey, Buffer.alloc(24), header, unhex(input["padded"]));
  const bind = bindOf(header, body);
  return { header: hex(header), bodyKey: hex(bodyKey), body: hex(body), bind: hex(bind), slotPlaintext: hex(join(contentKey, bind)) };
}

function encodeEnvelope(input: Fields): Fields {
  const slots = (input["slots"] as readonly Fields[]).map((slot) => ({ tag: unhex(slot["tag"]), rest: join(Buffer.of(slot["kind"] === "signal" ? 2 : 3), lp(unhex(slot["message"]))) }));
  slots.sort((a, b) => Buffer.compare(a.tag, b.tag));
  return { bytes: hex(join(unhex(input["header"]), uint(slots.length, 2), ...slots.map((slot) => join(slot.tag, slot.rest)), lp32(unhex(input["body"])))) };
}

interface Envelope {
  readonly header: Buffer;
  readonly slots: readonly { readonly tag: Buffer; readonly kind: string; readonly message: Buffer }[];
  readonly body: Buffer;
}

function readEnvelope(bytes: Buffer): Envelope {
  if (bytes.length > 1_048_576) refuse("ERR_TOO_LARGE");
  const from = new Cursor(bytes);
  from.version();
  if (from.uint(1) !== 1) refuse("ERR_VERSION");
  from.take(64);
  const header = bytes.subarray(0, 66);
  const count = from.uint(2);
  if (count > 256) refuse("ERR_TOO_LARGE");
  const slots: { tag: Buffer; kind: string; message: Buffer }[] = [];
  for (let i = 0; i < count; i++) {
    const tag = from.take(8);
    const before = slots.at(-1);
    if (before !== undefined && Buffer.compare(before.tag, tag) >= 0) refuse("ERR_DECODE");
    const kind = { 2: "signal", 3: "preKey" }[from.uint(1)] ?? refuse("ERR_VERSION");
    slots.push({ tag, kind, message: from.lp() });
  }
  const body = from.take(from.uint(4));
  from.end();
  return { header, slots, body };
}

function decodeFrame(input: Fields): Fields {
  const bytes = unhex(input["bytes"]);
  if (bytes[1] !== 16 && bytes[1] !== 17) {
    const { header, slots, body } = readEnvelope(bytes);
    const parts = { id: hex(header.subarray(2, 18)), senderDevice: hex(header.subarray(18, 34)), keyHash: hex(header.subarray(34)) };
    return { kind: "envelope", header: hex(header), ...parts, slots: slots.map(({ tag, kind, message }) => ({ tag: hex(tag), kind, message: hex(message) })), body: hex(body) };
  }
  const from = new Cursor(bytes);
  from.version();
  const kind = from.uint(1);
  const nonce = hex(from.take(16));
  if (kind === 16) {
    from.end();
    return { kind: "bundle-request", nonce };
  }
  const length = from.uint(4);
  if (length > 65_536) refuse("ERR_TOO_LARGE");
  const record = hex(from.take(length));
  from.end();
  return { kind: "bundle-reply", nonce, record };
}

function open(input: Fields): Fields {
  const { header, slots, body } = readEnvelope(unhex(input["bytes"]));
  const tag = tagOf(header.subarray(2, 18), unhex(input["device"]));
  const slot = slots.find((one) => one.tag.equals(tag));
  const plaintext = unhex(input["slotPlaintext"]);
  const contentKey = plaintext.subarray(0, 32);
  if (plaintext.length !== 64 || !sha256("miyu/key/v1\0", contentKey).equals(header.subarray(34)) || !bindOf(header, body).equals(plaintext.subarray(32))) refuse("ERR_DECRYPT");
  const padded = aeadOpen(bodyKeyOf(contentKey), Buffer.alloc(24), header, body, "ERR_DECRYPT");
  return { message: slot === undefined ? null : hex(slot.message), padded: hex(padded), bind: hex(bindOf(header, body)) };
}

// §4 Content and padding

function paddedLength(content: number): number {
  const length = content + 1;
  if (length <= 128) return 128;
  let e = 0;
  while (2 ** (e + 1) <= length) e++;
  let s = 1;
  while (2 ** s <= e) s++;
  const multiple = 2 ** (e - s);
  return Math.ceil(length / multiple) * multiple;
}

function unpad(padded: Buffer): Buffer {
  let end = padded.length;
  while (end > 0 && padded[end - 1] === 0) end--;
  if (end === 0 || padded[end - 1] !== 0x80 || paddedLength(end - 1) !== padded.length) refuse("ERR_DECODE");
  return padded.subarray(0, end - 1);
}

function encodeContent(input: Fields): Fields {
  const reference = (value: Json | undefined): Buffer => join(uint((value as Fields)["epoch"] as number, 4), unhex((value as Fields)["hash"]));
  const conversation = input["conversation"] as Fields;
  const direct = conversation["kind"] === "direct";
  const bytes = join(
    Buffer.of(1, 0), uint(input["sentAt"] as number, 8), name(input["senderUser"]), unhex(input["senderDevice"]),
    Buffer.of(direct ? 1 : 2), name(direct ? conversation["peer"] : conversation["group"]), reference(input["senderList"]),
    input["recipientList"] === null ? Buffer.of(0) : join(Buffer.of(1), reference(input["recipientList"])), name(input["mediaType"]), lp32(unhex(input["body"])),
  );
  return { bytes: hex(bytes) };
}

function decodeContent(input: Fields): Fields {
  const from = new Cursor(unhex(input["bytes"]));
  from.version();
  if (from.uint(1) !== 0) refuse("ERR_VERSION");
  const sentAt = from.uint(8);
  const senderUser = from.name();
  const senderDevice = hex(from.take(16));
  const kind = from.uint(1);
  if (kind !== 1 && kind !== 2) refuse("ERR_DECODE");
  const conversation: Fields = kind === 1 ? { kind: "direct", peer: from.name() } : { kind: "group", group: from.name() };
  const reference = (): Fields => ({ epoch: from.uint(4), hash: hex(from.take(32)) });
  const senderList = reference();
  const marker = from.uint(1);
  if (marker > 1) refuse("ERR_DECODE");
  const recipientList = marker === 1 ? reference() : null;
  const mediaType = from.text(255);
  const body = hex(from.take(from.uint(4)));
  from.end();
  return { senderUser, senderDevice, conversation, sentAt, senderList, recipientList, mediaType, body };
}

// §5 Device list

interface Entry {
  readonly device: string;
  readonly identityKey: string;
  readonly suites: number;
  readonly since: number;
  readonly proof: string;
}

interface List {
  readonly user: string;
  readonly accountKey: string;
  readonly epoch: number;
  readonly previousHash: string;
  readonly devices: readonly Entry[];
  readonly removed: readonly string[];
  readonly hash: string;
}

const listHash = (unsigned: Buffer): Buffer => sha256("miyu/device-list-hash/v1\0", unsigned);
const proofMessage = (user: string, accountKey: Buffer, device: Buffer): Buffer => join("miyu/device/v1\0", name(user), accountKey, device);
// Hexadecimal of equal length sorts as its bytes do.
const ascending = (values: readonly string[]): boolean => values.every((value, i) => i === 0 || (values[i - 1] ?? "") < value);

function readList(bytes: Buffer): List {
  const from = new Cursor(bytes);
  from.version();
  const user = from.name();
  const accountKey = from.key();
  const epoch = from.uint(4);
  const previousHash = hex(from.take(32));
  const count = from.uint(2);
  if (count > 256) refuse("ERR_DECODE");
  const devices = Array.from({ length: count }, (): Entry => ({ device: hex(from.take(16)), identityKey: hex(from.key()), suites: from.uint(1), since: from.uint(4), proof: hex(from.take(64)) }));
  const removedCount = from.uint(2);
  if (removedCount > 1024) refuse("ERR_DECODE");
  const removed = Array.from({ length: removedCount }, () => hex(from.take(16)));
  const unsigned = bytes.subarray(0, from.at);
  const signature = from.take(64);
  from.end();
  const ids = devices.map((entry) => entry.device);
  const sound =
    ascending(ids) && ascending(removed) && !removed.some((id) => ids.includes(id)) &&
    new Set(devices.map((entry) => entry.identityKey)).size === count && devices.every((entry) => entry.suites !== 0 && entry.since <= epoch);
  if (!sound) refuse("ERR_DECODE");
  verify(accountKey, join("miyu/device-list/v1\0", unsigned), signature);
  for (const entry of devices) verify(unhex(entry.identityKey), proofMessage(user, accountKey, unhex(entry.device)), unhex(entry.proof));
  return { user, accountKey: hex(accountKey), epoch, previousHash, devices, removed, hash: hex(listHash(unsigned)) };
}

function signDeviceList(input: Fields): Fields {
  const privateKey = unhex(input["accountPrivateKey"]);
  const devices = [...(input["devices"] as readonly Fields[])].sort((a, b) => ((a["device"] as string) < (b["device"] as string) ? -1 : 1));
  const removed = [...(input["removed"] as readonly string[])].sort();
  const unsigned = join(
    Buffer.of(1), name(input["user"]), publicKeyOf(privateKey), uint(input["epoch"] as number, 4), unhex(input["previousHash"]), uint(devices.length, 2),
    ...devices.map((one) => join(unhex(one["device"]), unhex(one["identityKey"]), uint(one["suites"] as number, 1), uint(one["since"] as number, 4), unhex(one["proof"]))),
    uint(removed.length, 2), ...removed.map(unhex),
  );
  return { bytes: hex(join(unsigned, sign(privateKey, join("miyu/device-list/v1\0", unsigned), unhex(input["random"])))), hash: hex(listHash(unsigned)) };
}

function acceptDeviceList(input: Fields): Fields {
  const no = (rule: string): never => refuse("ERR_DEVICE_LIST", rule);
  const next = readList(unhex(input["next"]));
  const known = input["known"] === null ? undefined : readList(unhex(input["known"]));
  if (next.user !== input["user"] || (known !== undefined && known.user !== input["user"])) no("user");
  if (known === undefined) return { verdict: "newer" };
  if (next.accountKey !== known.accountKey) no("account");
  if (next.epoch < known.epoch) no("epoch");
  if (next.epoch === known.epoch) return next.hash === known.hash ? { verdict: "same" } : no("fork");
  if (next.epoch === known.epoch + 1 && next.previousHash !== known.hash) no("fork");
  for (const entry of known.devices) {
    if (next.devices.some((one) => (one.device === entry.device) !== (one.identityKey === entry.identityKey))) no("identity");
    if (!next.devices.some((one) => one.device === entry.device) && !next.removed.includes(entry.device)) no("removed");
  }
  if (!known.removed.every((id) => next.removed.includes(id))) no("removed");
  return { verdict: "newer" };
}

// §6 Bundle, directory record, stocked prekey

function signBundle(input: Fields): Fields {
  const preKey = input["signedPreKey"] as Fields;
  const unsigned = join(
    Buffer.of(1), unhex(input["device"]), uint(input["registrationId"] as number, 4), uint(preKey["id"] as number, 4),
    unhex(preKey["publicKey"]), unhex(preKey["signature"]), uint(input["createdAt"] as number, 8),
  );
  return { bytes: hex(join(unsigned, sign(unhex(input["identityPrivateKey"]), join("miyu/bundle/v1\0", name(input["user"]), unsigned), unhex(input["random"])))) };
}

function verifyBundle(input: Fields): Fields {
  const bytes = unhex(input["bytes"]);
  const identityKey = unhex(input["identityKey"]);
  const from = new Cursor(bytes);
  from.version();
  const device = hex(from.take(16));
  const registrationId = from.uint(4);
  const id = from.uint(4);
  const publicKey = from.key();
  const signature = from.take(64);
  const createdAt = from.uint(8);
  const unsigned = bytes.subarray(0, from.at);
  const own = from.take(64);
  from.end();
  verify(identityKey, join("miyu/bundle/v1\0", name(input["user"]), unsigned), own);
  verify(identityKey, publicKey, signature);
  return { device, registrationId, signedPreKey: { id, publicKey: hex(publicKey), signature: hex(signature) }, createdAt };
}

function decodeDirectoryRecord(input: Fields): Fields {
  const bytes = unhex(input["bytes"]);
  if (bytes.length > 65_536) refuse("ERR_TOO_LARGE");
  const from = new Cursor(bytes);
  from.version();
  const deviceList = hex(from.lp());
  const count = from.uint(2);
  if (count > 256) refuse("ERR_DECODE");
  const bundles = Array.from({ length: count }, () => hex(from.lp()));
  from.end();
  return { deviceList, bundles };
}

function decodeStockedPreKey(input: Fields): Fields {
  const from = new Cursor(unhex(input["bytes"]));
  const id = from.uint(4);
  const publicKey = hex(from.key());
  from.end();
  return { id, publicKey };
}

// §7 Text

function fromText(input: Fields): Fields {
  const text = input["text"] as string;
  if (text.length > 6 + Math.ceil(1_048_576 / 3) * 4) refuse("ERR_TOO_LARGE");
  if (!text.startsWith("miyu1.")) refuse(/^miyu[0-9]{1,3}\./.test(text) ? "ERR_VERSION" : "ERR_DECODE");
  const coded = text.slice(6);
  const digits = coded.replace(/={1,2}$/, "");
  const bytes = Buffer.from(digits, "base64url");
  const sound = /^[A-Za-z0-9_\-+/]*$/.test(digits) && (digits === coded || coded.length % 4 === 0);
  // Writing the bytes again shows impossible lengths and spare bits.
  if (!sound || bytes.toString("base64url") !== digits.replaceAll("+", "-").replaceAll("/", "_")) refuse("ERR_DECODE");
  return { bytes: hex(bytes) };
}

// §8 Account file

function sealAccountFile(input: Fields): Fields {
  const nonce = unhex(input["nonce"]);
  const header = join("MIYU", Buffer.of(1, 1), uint(input["t"] as number, 4), uint(input["mKiB"] as number, 4), uint(input["p"] as number, 1), unhex(input["salt"]), nonce);
  const signed = unhex(input["deviceList"]);
  const list = readList(signed);
  const account = join(name(input["user"]), unhex(input["accountPrivateKey"]), uint(list.epoch, 4), unhex(list.hash), lp(signed));
  return { bytes: hex(join(header, aeadSeal(unhex(input["key"]), nonce, header, account))) };
}

function openAccountFile(input: Fields): Fields {
  const bytes = unhex(input["bytes"]);
  if (bytes.length > 131_072) refuse("ERR_TOO_LARGE");
  const from = new Cursor(bytes);
  if (from.take(4).toString("latin1") !== "MIYU" || from.uint(1) !== 1) refuse("ERR_DECODE");
  from.version();
  const [t, m, p] = [from.uint(4), from.uint(4), from.uint(1)];
  from.take(16);
  if (t < 1 || t > 10 || m < 8192 || m > 1_048_576 || p < 1 || p > 4) refuse("ERR_DECODE");
  const nonce = from.take(24);
  const inner = new Cursor(aeadOpen(unhex(input["key"]), nonce, bytes.subarray(0, 55), bytes.subarray(55), "ERR_PASSPHRASE"));
  const user = inner.name();
  const privateKey = inner.take(32);
  const epoch = inner.uint(4);
  const hash = hex(inner.take(32));
  const deviceList = inner.lp();
  inner.end();
  const list = readList(deviceList);
  if (list.user !== user || list.accountKey !== hex(publicKeyOf(privateKey)) || list.epoch !== epoch || list.hash !== hash) refuse("ERR_DECODE");
  return { user, accountPrivateKey: hex(privateKey), epoch, hash, deviceList: hex(deviceList) };
}

/** The operations of §11. Each takes and gives what the vectors file holds, and throws {@link Refused}. */
export const operations: Readonly<Record<string, (input: Fields) => Fields>> = {
  pad: (input) => {
    const content = unhex(input["content"]);
    const padded = join(content, Buffer.of(0x80));
    return { padded: hex(join(padded, Buffer.alloc(paddedLength(content.length) - padded.length))) };
  },
  unpad: (input) => ({ content: hex(unpad(unhex(input["padded"]))) }),
  encodeContent,
  decodeContent,
  seal,
  slotTag: (input) => ({ tag: hex(tagOf(unhex(input["id"]), unhex(input["device"]))) }),
  encodeEnvelope,
  decodeFrame,
  open,
  proveDevice: (input) => {
    const message = proofMessage(input["user"] as string, unhex(input["accountKey"]), unhex(input["device"]));
    return { proof: hex(sign(unhex(input["identityPrivateKey"]), message, unhex(input["random"]))) };
  },
  signDeviceList,
  decodeDeviceList: (input) => readList(unhex(input["bytes"])) as unknown as Fields,
  acceptDeviceList,
  signBundle,
  verifyBundle,
  encodeDirectoryRecord: (input) => {
    const bundles = (input["bundles"] as readonly string[]).map(unhex);
    return { bytes: hex(join(Buffer.of(1), lp(unhex(input["deviceList"])), uint(bundles.length, 2), ...bundles.map(lp))) };
  },
  decodeDirectoryRecord,
  encodeStockedPreKey: (input) => ({ bytes: hex(join(uint(input["id"] as number, 4), unhex(input["publicKey"]))) }),
  decodeStockedPreKey,
  toText: (input) => ({ text: `miyu1.${unhex(input["bytes"]).toString("base64url")}` }),
  fromText,
  sealAccountFile,
  openAccountFile,
};
