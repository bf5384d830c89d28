/**
 * Makes the cases of envelope.json: inputs from SHA-256 of fixed labels, outputs by the library. Run through
 * test/envelope/vectors.test.ts, which compares, and writes the file only if MIYU_WRITE_VECTORS=1.
 */
import { createHash } from "node:crypto";
import { concat, lp, lp32, u16be, u32be, utf8, type Bytes } from "../../src/bytes.ts";
import { SIGNED } from "../../src/envelope/signing.ts";
import { MiyuError } from "../../src/errors.ts";
import { crypto, flip, type Pair } from "../envelope/fixtures.ts";
import { operations, toJson, type Fields, type Json } from "../envelope/operations.ts";

/** One known answer. */
export interface VectorCase {
  readonly name: string;
  readonly operation: string;
  readonly input: Fields;
  readonly expect: string;
  readonly output?: Fields;
}

/** Bytes that depend on `label` only. */
function seeded(label: string, length = 32): Bytes {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, i) => createHash("sha256").update(`${label} ${String(i)}`).digest());
  return concat(...blocks).slice(0, length);
}

function pair(label: string): Pair {
  const privateKey = seeded(label);
  privateKey[0] = (privateKey[0] ?? 0) & 248;
  privateKey[31] = ((privateKey[31] ?? 0) & 127) | 64;
  return { privateKey, publicKey: concat(Uint8Array.of(5), crypto.x25519PublicKey(privateKey)) };
}

const un = (value: Json | undefined): Bytes => Uint8Array.from(Buffer.from(value as string, "hex"));

/** All cases, always the same. */
export function makeCases(): VectorCase[] {
  const cases: VectorCase[] = [];
  const run = (name: string, operation: string, input: object): { expect: string; output: Fields } => {
    const given = toJson(input) as Fields;
    let result: { expect: string; output: Fields };
    try {
      result = { expect: "ok", output: operations[operation]?.(given) ?? {} };
    } catch (error) {
      if (!MiyuError.is(error)) throw error;
      const { rule } = error.detail as { rule?: string };
      result = { expect: error.code, output: rule === undefined ? {} : { rule } };
    }
    const { expect, output } = result;
    cases.push(Object.keys(output).length === 0 ? { name, operation, input: given, expect } : { name, operation, input: given, expect, output });
    return result;
  };
  /** A case that must succeed. */
  const ok = (name: string, operation: string, input: object): Fields => {
    const { expect, output } = run(name, operation, input);
    if (expect !== "ok") throw new Error(`${name}: ${expect}`);
    return output;
  };
  /** A case that must be refused with `code`. */
  const refused = (code: string, name: string, operation: string, input: object): void => {
    const { expect } = run(name, operation, input);
    if (expect !== code) throw new Error(`${name}: ${expect} instead of ${code}`);
  };

  // Padding
  for (const length of [0, 1, 126, 127, 128, 143, 255, 256, 1000, 1024]) {
    const content = seeded("padding", length);
    ok(`unpad ${String(length)} bytes`, "unpad", ok(`pad ${String(length)} bytes`, "pad", { content }));
  }
  ok("content that ends like padding", "unpad", ok("pad content that ends like padding", "pad", { content: Uint8Array.of(1, 0x80, 0, 0) }));
  refused("ERR_DECODE", "padding: nothing at all", "unpad", { padded: new Uint8Array(0) });
  refused("ERR_DECODE", "padding: no end marker", "unpad", { padded: new Uint8Array(128) });
  refused("ERR_DECODE", "padding: other end marker", "unpad", { padded: new Uint8Array(128).fill(1) });
  refused("ERR_DECODE", "padding: below 128 bytes", "unpad", { padded: new Uint8Array(127).fill(0x80, 0, 1) });
  refused("ERR_DECODE", "padding: longer than Padmé", "unpad", { padded: new Uint8Array(144).fill(0x80, 0, 1) });

  // Devices and lists
  const account = pair("alice account");
  const otherAccount = pair("alice other account");
  const identities = ["one", "two", "three"].map((label) => pair(`alice identity ${label}`));
  const prove = (name: string, user: string, accountKey: Bytes, device: Bytes, identity: Pair): Bytes =>
    un(ok(name, "proveDevice", { user, accountKey, device, identityPrivateKey: identity.privateKey, random: seeded(`random of ${name}`, 64) })["proof"]);
  const entries = identities.map((identity, i) => {
    const device = seeded(`alice device ${String(i)}`, 16);
    return { device, identityKey: identity.publicKey, suites: 1, since: 1, proof: prove(`proof of device ${String(i)}`, "alice", account.publicKey, device, identity) };
  });
  const [one, two, three] = entries;
  const [identityOne] = identities;
  if (one === undefined || two === undefined || three === undefined || identityOne === undefined) throw new Error("three devices expected");
  const listOf = (name: string, fields: object): { bytes: Bytes; hash: Bytes } => {
    const base = { accountPrivateKey: account.privateKey, random: seeded(`random of ${name}`, 64), user: "alice", epoch: 1, previousHash: new Uint8Array(32), devices: [one, two], removed: [] };
    const { bytes, hash } = ok(name, "signDeviceList", { ...base, ...fields });
    return { bytes: un(bytes), hash: un(hash) };
  };
  const first = listOf("first list", {});
  const second = listOf("second list: a device more, suites to come", { epoch: 2, previousHash: first.hash, devices: [one, two, { ...three, since: 2, suites: 0x83 }] });
  const third = listOf("third list: a device removed", { epoch: 3, previousHash: second.hash, devices: [two, three], removed: [one.device] });
  for (const [name, { bytes }] of Object.entries({ "first list": first, "second list": second, "third list": third })) ok(`read ${name}`, "decodeDeviceList", { bytes });
  const empty = listOf("a list without devices, user in Chinese", { user: "小明", devices: [] });
  ok("read a list without devices", "decodeDeviceList", { bytes: empty.bytes });

  const raw = (bytes: Bytes, label: string, context: string = SIGNED["device list"], key = account): Bytes => concat(bytes, crypto.xeddsaSign(key.privateKey, concat(utf8(context), bytes), seeded(label, 64)));
  const unsigned = third.bytes.slice(0, -64);
  const at = 1 + 2 + 5 + 33 + 4 + 32 + 2;
  const entry = (i: number): Bytes => unsigned.slice(at + 118 * i, at + 118 * (i + 1));
  const patched = (offset: number, part: Uint8Array): Bytes => {
    const out = new Uint8Array(unsigned);
    out.set(part, offset);
    return out;
  };
  const badList = (code: string, name: string, bytes: Bytes): void => {
    refused(code, `list: ${name}`, "decodeDeviceList", { bytes });
  };
  badList("ERR_VERSION", "version 2", third.bytes.with(0, 2));
  badList("ERR_DECODE", "truncated", third.bytes.slice(0, -1));
  badList("ERR_DECODE", "a byte left over", concat(third.bytes, Uint8Array.of(0)));
  badList("ERR_DECODE", "entries out of order", raw(patched(at, concat(entry(1), entry(0))), "a"));
  badList("ERR_DECODE", "one device twice", raw(patched(at, entry(1)), "b"));
  badList("ERR_DECODE", "one identity key twice", raw(patched(at + 118 + 16, entry(0).slice(16, 49)), "c"));
  badList("ERR_DECODE", "no suite", raw(unsigned.with(at + 49, 0), "d"));
  badList("ERR_DECODE", "since after the epoch", raw(patched(at + 50, u32be(4)), "e"));
  badList("ERR_DECODE", "identity key of type 08", raw(unsigned.with(at + 16, 8), "f"));
  badList("ERR_DECODE", "identity key with its top bit set", raw(unsigned.with(at + 48, (unsigned[at + 48] ?? 0) | 0x80), "g"));
  badList("ERR_DECODE", "a device listed and removed", raw(patched(unsigned.length - 16, entry(0).slice(0, 16)), "h"));
  badList("ERR_DECODE", "257 devices announced", raw(patched(at - 2, u16be(257)), "i"));
  badList("ERR_DECODE", "user is not UTF-8", raw(patched(3, Uint8Array.of(0xff)), "j"));
  badList("ERR_DECODE", "user is empty", raw(concat(unsigned.slice(0, 1), u16be(0), unsigned.slice(8)), "k"));
  badList("ERR_SIGNATURE", "signature changed", flip(third.bytes, third.bytes.length - 60));
  badList("ERR_SIGNATURE", "epoch changed", flip(third.bytes, 1 + 2 + 5 + 33 + 3));
  badList("ERR_SIGNATURE", "signed by another account", raw(unsigned, "l", SIGNED["device list"], otherAccount));
  badList("ERR_SIGNATURE", "signed as a bundle", raw(unsigned, "m", SIGNED.bundle));
  badList("ERR_SIGNATURE", "a proof changed, signed by the account", raw(patched(at + 54, Uint8Array.of((unsigned[at + 54] ?? 0) ^ 1)), "n"));
  const forBob = prove("proof for another user", "bob", account.publicKey, one.device, identityOne);
  const forOther = prove("proof for another account", "alice", otherAccount.publicKey, one.device, identityOne);
  const plainFirst = first.bytes.slice(0, -64);
  const oneAt = Buffer.from(plainFirst).indexOf(Buffer.from(one.device));
  for (const [name, proof] of Object.entries({ "the proof is for another user": forBob, "the proof is for another account": forOther })) {
    const bytes = new Uint8Array(plainFirst);
    bytes.set(proof, oneAt + 54);
    badList("ERR_SIGNATURE", name, raw(bytes, name));
  }

  const accept = (name: string, known: Bytes | null, next: Bytes, user = "alice"): object => ({ name, known, next, user });
  const accepted = [
    accept("the first", null, first.bytes), accept("the same", first.bytes, first.bytes), accept("the next", first.bytes, second.bytes),
    accept("after a gap", first.bytes, third.bytes),
    accept("the same signed again", first.bytes, listOf("first list signed again", { random: seeded("again", 64) }).bytes),
  ] as { name: string }[];
  for (const { name, ...input } of accepted) ok(`accept: ${name}`, "acceptDeviceList", input);
  const moved = { ...one, device: seeded("moved", 16) };
  const movedProof = prove("proof of a key under another id", "alice", account.publicKey, moved.device, identityOne);
  const swap = pair("swap");
  const swapProof = prove("proof of another key under a known id", "alice", account.publicKey, one.device, swap);
  const otherEntry = { ...one, proof: prove("proof for the other account", "alice", otherAccount.publicKey, one.device, identityOne) };
  const rejected = [
    accept("user", null, first.bytes, "bob"),
    accept("account", first.bytes, listOf("list of another account", { accountPrivateKey: otherAccount.privateKey, epoch: 2, devices: [otherEntry] }).bytes),
    accept("epoch", second.bytes, first.bytes),
    accept("fork: same epoch", first.bytes, listOf("fork of the first list", { devices: [one] }).bytes),
    accept("fork: other past", first.bytes, listOf("second list on another past", { epoch: 2, previousHash: seeded("past") }).bytes),
    accept("identity: other key", first.bytes, listOf("a known id under another key", { epoch: 9, devices: [{ ...one, identityKey: swap.publicKey, proof: swapProof }, two] }).bytes),
    accept("identity: other id", first.bytes, listOf("a known key under another id", { epoch: 9, devices: [{ ...moved, proof: movedProof }, two], removed: [one.device] }).bytes),
    accept("removed: back again", third.bytes, listOf("a removed device back", { epoch: 9, devices: [one, two, three] }).bytes),
    accept("removed: forgotten", third.bytes, listOf("a removed device forgotten", { epoch: 9, devices: [two, three] }).bytes),
    accept("removed: gone", first.bytes, listOf("a device gone", { epoch: 9, devices: [two] }).bytes),
  ] as { name: string }[];
  for (const { name, ...input } of rejected) refused("ERR_DEVICE_LIST", `accept: ${name}`, "acceptDeviceList", input);

  // Bundles
  const preKey = pair("signed prekey");
  const bundleFields = {
    user: "alice", device: one.device, registrationId: 4711, createdAt: 1_760_000_000_000,
    signedPreKey: { id: 7, publicKey: preKey.publicKey, signature: crypto.xeddsaSign(identityOne.privateKey, preKey.publicKey, seeded("prekey signature", 64)) },
  };
  const bundle = un(ok("sign a bundle", "signBundle", { ...bundleFields, identityPrivateKey: identityOne.privateKey, random: seeded("bundle", 64) })["bytes"]);
  const verifying = { user: "alice", identityKey: identityOne.publicKey, bytes: bundle };
  ok("verify a bundle", "verifyBundle", verifying);
  const badBundle = (code: string, name: string, more: object): void => {
    refused(code, `bundle: ${name}`, "verifyBundle", { ...verifying, ...more });
  };
  const plainBundle = bundle.slice(0, -64);
  const resigned = (bytes: Bytes, context: string): Bytes => concat(bytes, crypto.xeddsaSign(identityOne.privateKey, concat(utf8(context), lp(utf8("alice")), bytes), seeded("resigned", 64)));
  badBundle("ERR_SIGNATURE", "another user", { user: "bob" });
  badBundle("ERR_SIGNATURE", "another identity key", { identityKey: two.identityKey });
  badBundle("ERR_SIGNATURE", "id of the prekey changed", { bytes: flip(bundle, 24) });
  badBundle("ERR_SIGNATURE", "time changed", { bytes: flip(bundle, 129) });
  badBundle("ERR_SIGNATURE", "signed as a device list", { bytes: resigned(plainBundle, SIGNED["device list"]) });
  badBundle("ERR_SIGNATURE", "the prekey's own signature is bad", { bytes: resigned(flip(plainBundle, 70), SIGNED.bundle) });
  badBundle("ERR_VERSION", "version 2", { bytes: bundle.with(0, 2) });
  badBundle("ERR_DECODE", "truncated", { bytes: bundle.slice(0, -1) });
  badBundle("ERR_DECODE", "a byte left over", { bytes: concat(bundle, Uint8Array.of(0)) });
  badBundle("ERR_DECODE", "prekey of type 08", { bytes: bundle.with(25, 8) });
  const record = un(ok("write a directory record", "encodeDirectoryRecord", { deviceList: first.bytes, bundles: [bundle] })["bytes"]);
  ok("read a directory record", "decodeDirectoryRecord", { bytes: record });
  refused("ERR_VERSION", "record: version 2", "decodeDirectoryRecord", { bytes: record.with(0, 2) });
  refused("ERR_DECODE", "record: truncated", "decodeDirectoryRecord", { bytes: record.slice(0, -1) });
  refused("ERR_DECODE", "record: a bundle more announced", "decodeDirectoryRecord", { bytes: flip(record, 3 + first.bytes.length + 1, 1) });
  const stocked = un(ok("write a stocked prekey", "encodeStockedPreKey", { id: 0xfffffffe, publicKey: preKey.publicKey })["bytes"]);
  ok("read a stocked prekey", "decodeStockedPreKey", { bytes: stocked });
  refused("ERR_DECODE", "stocked prekey: truncated", "decodeStockedPreKey", { bytes: stocked.slice(0, -1) });
  refused("ERR_DECODE", "stocked prekey: type 08", "decodeStockedPreKey", { bytes: stocked.with(4, 8) });
  const highest = concat(Uint8Array.of(5, 0xec), new Uint8Array(30).fill(0xff), Uint8Array.of(0x7f));
  ok("stocked prekey: the highest u", "decodeStockedPreKey", { bytes: concat(u32be(1), highest) });
  refused("ERR_DECODE", "stocked prekey: u = 2^255 - 19", "decodeStockedPreKey", { bytes: concat(u32be(1), highest.with(1, 0xed)) });

  // Content
  const content = {
    senderUser: "alice", senderDevice: one.device, conversation: { kind: "direct", peer: "bob" }, sentAt: 1_760_000_000_123,
    senderList: { epoch: 1, hash: first.hash }, recipientList: { epoch: 5, hash: seeded("bob's list") }, mediaType: "text/plain", body: utf8("你好, Bob"),
  };
  const contentBytes = un(ok("content: direct", "encodeContent", content)["bytes"]);
  ok("read content: direct", "decodeContent", { bytes: contentBytes });
  const group = { ...content, conversation: { kind: "group", group: "book club" }, recipientList: null, body: new Uint8Array(0) };
  ok("read content: group", "decodeContent", ok("content: group, no recipient list, empty body", "encodeContent", group));
  const badContent = (code: string, name: string, bytes: Bytes): void => {
    refused(code, `content: ${name}`, "decodeContent", { bytes });
  };
  badContent("ERR_VERSION", "version 2", contentBytes.with(0, 2));
  badContent("ERR_VERSION", "a control byte", contentBytes.with(1, 1));
  badContent("ERR_DECODE", "conversation kind 3", contentBytes.with(33, 3));
  badContent("ERR_DECODE", "list marker 2", concat(contentBytes.slice(0, 75), Uint8Array.of(2), contentBytes.slice(112)));
  badContent("ERR_DECODE", "time above 2^53 - 1", contentBytes.with(3, 0x20));
  badContent("ERR_DECODE", "sender is not UTF-8", contentBytes.with(12, 0xff));
  badContent("ERR_DECODE", "truncated", contentBytes.slice(0, -1));
  badContent("ERR_DECODE", "a byte left over", concat(contentBytes, Uint8Array.of(0)));

  // Envelope
  const padded = un(ok("pad the content", "pad", { content: contentBytes })["padded"]);
  const id = seeded("envelope id", 16);
  const sealed = ok("seal the content", "seal", { contentKey: seeded("content key"), id, senderDevice: one.device, padded });
  const devices = ["bob phone", "bob laptop", "alice laptop"].map((label) => seeded(label, 16));
  const slots = devices.map((device, i) => ({ tag: ok(`tag ${String(i)}`, "slotTag", { id, device })["tag"], kind: i === 1 ? "preKey" : "signal", message: seeded(`message ${String(i)}`, i === 1 ? 210 : 130) }));
  const envelope = un(ok("write the envelope", "encodeEnvelope", { header: sealed["header"], slots, body: sealed["body"] })["bytes"]);
  ok("read the envelope", "decodeFrame", { bytes: envelope });
  const opening = { bytes: envelope, slotPlaintext: un(sealed["slotPlaintext"]) };
  for (const [i, device] of devices.entries()) ok(`open by device ${String(i)}`, "open", { ...opening, device });
  ok("open: a device without a slot finds none", "open", { ...opening, device: seeded("stranger", 16) });
  const other = ok("seal the same content under another key", "seal", { contentKey: seeded("other content key"), id, senderDevice: one.device, padded });
  const badOpen = (name: string, more: object): void => {
    refused("ERR_DECRYPT", `open: ${name}`, "open", { ...opening, device: devices[0], ...more });
  };
  const plaintext = opening.slotPlaintext;
  badOpen("another content key", { slotPlaintext: concat(un(other["slotPlaintext"]).slice(0, 32), plaintext.slice(32)) });
  badOpen("another bind", { slotPlaintext: flip(plaintext, 40) });
  badOpen("slot plaintext of 63 bytes", { slotPlaintext: plaintext.slice(0, 63) });
  badOpen("slot plaintext of 65 bytes", { slotPlaintext: concat(plaintext, Uint8Array.of(0)) });
  badOpen("id changed", { bytes: flip(envelope, 2) });
  badOpen("sender device changed", { bytes: flip(envelope, 20) });
  badOpen("key hash changed", { bytes: flip(envelope, 40) });
  badOpen("body changed", { bytes: flip(envelope, envelope.length - 30) });
  const header = un(sealed["header"]);
  const swapped = crypto.aeadSeal(un(sealed["bodyKey"]), new Uint8Array(24), header, new Uint8Array(padded.length).fill(0x80, 0, 1));
  badOpen("another body sealed under the right key", { bytes: concat(envelope.slice(0, -4 - un(sealed["body"]).length), lp32(swapped)) });
  const badFrame = (code: string, name: string, bytes: Bytes): void => {
    refused(code, `frame: ${name}`, "decodeFrame", { bytes });
  };
  badFrame("ERR_VERSION", "version 2", envelope.with(0, 2));
  for (const kind of [0, 2, 3, 18]) badFrame("ERR_VERSION", `kind ${String(kind)}`, envelope.with(1, kind));
  badFrame("ERR_VERSION", "slot kind 7", envelope.with(66 + 2 + 8, 7));
  badFrame("ERR_TOO_LARGE", "257 slots announced", concat(envelope.slice(0, 66), u16be(257), envelope.slice(68)));
  badFrame("ERR_DECODE", "truncated", envelope.slice(0, -1));
  badFrame("ERR_DECODE", "a byte left over", concat(envelope, Uint8Array.of(0)));
  const unordered = slots.map((slot) => concat(un(slot.tag), Uint8Array.of(slot.kind === "preKey" ? 3 : 2), lp(slot.message))).sort((a, b) => Buffer.compare(b, a));
  badFrame("ERR_DECODE", "slots out of order", concat(header, u16be(3), ...unordered, lp32(un(sealed["body"]))));
  badFrame("ERR_DECODE", "one tag twice", concat(header, u16be(2), ...unordered.slice(0, 1), ...unordered.slice(0, 1), lp32(un(sealed["body"]))));
  const nonce = seeded("nonce", 16);
  const request = concat(Uint8Array.of(1, 16), nonce);
  const reply = concat(Uint8Array.of(1, 17), nonce, lp32(record));
  ok("frame: bundle request", "decodeFrame", { bytes: request });
  ok("frame: bundle reply", "decodeFrame", { bytes: reply });
  badFrame("ERR_VERSION", "bundle request of version 2", request.with(0, 2));
  badFrame("ERR_DECODE", "bundle request with a byte left over", concat(request, Uint8Array.of(0)));
  badFrame("ERR_DECODE", "bundle reply truncated", reply.slice(0, -1));
  badFrame("ERR_TOO_LARGE", "bundle reply that announces 64 KiB and one byte", concat(Uint8Array.of(1, 17), nonce, u32be(65_537)));

  // Text
  for (const length of [1, 2, 3, 18]) {
    const bytes = seeded("text", length);
    ok(`read text of ${String(length)} bytes`, "fromText", ok(`text of ${String(length)} bytes`, "toText", { bytes }));
    ok(`read standard base64 of ${String(length)} bytes`, "fromText", { text: `miyu1.${Buffer.from(bytes).toString("base64")}` });
  }
  ok("text: both alphabets", "fromText", { text: "miyu1.-_+/" });
  for (const text of ["", "hello", "miyu1.a", "miyu1.ab=", "miyu1.ab===", "miyu1.a*cd", "miyu1.ab cd", " miyu1.abcd", "miyu1.ab"]) refused("ERR_DECODE", `text: ${JSON.stringify(text)}`, "fromText", { text });
  refused("ERR_VERSION", "text: version 2", "fromText", { text: "miyu2.abcd" });

  // Account file
  const key = seeded("derived key");
  const sealing = { key, nonce: seeded("account nonce", 24), t: 3, mKiB: 65_536, p: 1, salt: seeded("salt", 16), user: "alice", accountPrivateKey: account.privateKey, deviceList: third.bytes };
  const file = un(ok("write an account file", "sealAccountFile", sealing)["bytes"]);
  ok("open an account file", "openAccountFile", { key, bytes: file });
  const badFile = (code: string, name: string, bytes: Bytes, with_ = key): void => {
    refused(code, `account file: ${name}`, "openAccountFile", { key: with_, bytes });
  };
  badFile("ERR_PASSPHRASE", "wrong key", file, seeded("wrong key"));
  badFile("ERR_PASSPHRASE", "salt changed", flip(file, 20));
  badFile("ERR_PASSPHRASE", "cost changed within its limits", file.with(9, 4));
  badFile("ERR_PASSPHRASE", "nonce changed", flip(file, 40));
  badFile("ERR_PASSPHRASE", "truncated", file.slice(0, -1));
  badFile("ERR_DECODE", "magic", file.with(0, 0));
  badFile("ERR_DECODE", "type 2", file.with(4, 2));
  badFile("ERR_VERSION", "version 2", file.with(5, 2));
  badFile("ERR_DECODE", "no passes", file.with(9, 0));
  badFile("ERR_DECODE", "eleven passes", file.with(9, 11));
  badFile("ERR_DECODE", "too little memory", concat(file.slice(0, 10), u32be(8191), file.slice(14)));
  badFile("ERR_DECODE", "too much memory", concat(file.slice(0, 10), u32be(1_048_577), file.slice(14)));
  badFile("ERR_DECODE", "five lanes", file.with(14, 5));
  const fileHeader = file.slice(0, 55);
  const authentic = (...parts: Bytes[]): Bytes => concat(fileHeader, crypto.aeadSeal(key, sealing.nonce, fileHeader, concat(...parts)));
  const user = lp(utf8("alice"));
  badFile("ERR_DECODE", "another account's key inside", authentic(user, otherAccount.privateKey, u32be(3), third.hash, lp(third.bytes)));
  badFile("ERR_DECODE", "another epoch inside", authentic(user, account.privateKey, u32be(4), third.hash, lp(third.bytes)));
  badFile("ERR_DECODE", "another hash inside", authentic(user, account.privateKey, u32be(3), first.hash, lp(third.bytes)));
  badFile("ERR_DECODE", "another user inside", authentic(lp(utf8("bob")), account.privateKey, u32be(3), third.hash, lp(third.bytes)));
  badFile("ERR_SIGNATURE", "a forged list inside", authentic(user, account.privateKey, u32be(3), third.hash, lp(flip(third.bytes, third.bytes.length - 60))));
  badFile("ERR_DECODE", "a byte left over inside", authentic(user, account.privateKey, u32be(3), third.hash, lp(third.bytes), Uint8Array.of(0)));
  return cases;
}
