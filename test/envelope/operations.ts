/** The operations of docs/protocol.md §11, done by the library: values as JSON in, values as JSON out, byte strings in hexadecimal. */
import { copy, equal, toHex, utf8, type Bytes } from "../../src/bytes.ts";
import type { Random } from "../../src/crypto/types.ts";
import { encodeAccountFile, openAccountFile } from "../../src/envelope/accountFile.ts";
import { decodeDirectoryRecord, decodeStockedPreKey, encodeDirectoryRecord, encodeStockedPreKey, signBundle, verifyBundle } from "../../src/envelope/bundle.ts";
import { decodeContent, encodeContent, type Content } from "../../src/envelope/content.ts";
import { decodeFrame } from "../../src/envelope/control.ts";
import { acceptDeviceList, decodeDeviceList, proveDevice, signDeviceList, type DeviceList } from "../../src/envelope/deviceList.ts";
import { bindHash, decodeEnvelope, encodeEnvelope, findSlot, openBody, sealBody, slotTag } from "../../src/envelope/envelope.ts";
import { padContent, unpadContent } from "../../src/envelope/padding.ts";
import { fromText, toText } from "../../src/envelope/text.ts";
import { crypto } from "./fixtures.ts";

/** A value of the vectors file. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
/** An object of the vectors file. */
export type Fields = Readonly<Record<string, Json>>;
/** Does one operation, or throws an error with one of the codes of docs/protocol.md §1. */
export type Operation = (input: Fields) => Fields;

/** Bytes as hexadecimal all the way down; undefined as null. */
export function toJson(value: unknown): Json {
  if (value instanceof Uint8Array) return toHex(value);
  if (Array.isArray(value)) return value.map(toJson);
  if (value === undefined || value === null) return null;
  if (typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item)]));
  return value as Json;
}

const bytes = (value: Json | undefined): Bytes => copy(Buffer.from(value as string, "hex"));
const text = (value: Json | undefined): string => value as string;
const number = (value: Json | undefined): number => value as number;
const list = (value: Json | undefined): readonly Json[] => value as readonly Json[];
const fields = (value: Json | undefined): Fields => value as Fields;
/** Hands out the prepared bytes once. */
const once = (value: Json | undefined): Random => () => bytes(value);
const json = (value: object): Fields => toJson(value) as Fields;

function reference(value: Json | undefined): { epoch: number; hash: Bytes } {
  return { epoch: number(fields(value)["epoch"]), hash: bytes(fields(value)["hash"]) };
}

function contentOf(input: Fields): Content {
  return {
    senderUser: text(input["senderUser"]),
    senderDevice: bytes(input["senderDevice"]),
    conversation: fields(input["conversation"]) as unknown as Content["conversation"],
    sentAt: number(input["sentAt"]),
    senderList: reference(input["senderList"]),
    recipientList: input["recipientList"] === null ? undefined : reference(input["recipientList"]),
    mediaType: text(input["mediaType"]),
    body: bytes(input["body"]),
    control: undefined,
  };
}

function listFields({ user, accountKey, epoch, previousHash, devices, removed, hash }: DeviceList): Fields {
  return json({ user, accountKey, epoch, previousHash, devices, removed, hash });
}

/** Every operation by name. */
export const operations: Readonly<Record<string, Operation>> = {
  pad: (input) => json({ padded: padContent(bytes(input["content"])) }),
  unpad: (input) => json({ content: unpadContent(bytes(input["padded"])) }),
  encodeContent: (input) => json({ bytes: encodeContent(contentOf(input)) }),
  decodeContent: (input) => {
    const { senderUser, senderDevice, conversation, sentAt, senderList, recipientList, mediaType, body } = decodeContent(bytes(input["bytes"]));
    return json({ senderUser, senderDevice, conversation, sentAt, senderList, recipientList, mediaType, body });
  },
  seal: (input) => {
    const options = { id: bytes(input["id"]), senderDevice: bytes(input["senderDevice"]) };
    const { header, body, bind, slotPlaintext } = sealBody(crypto, once(input["contentKey"]), options, bytes(input["padded"]));
    const bodyKey = crypto.hkdfSha256(bytes(input["contentKey"]), undefined, utf8("miyu/body/v1"), 32);
    return json({ header: header.bytes, bodyKey, body, bind, slotPlaintext });
  },
  slotTag: (input) => json({ tag: slotTag(crypto, bytes(input["id"]), bytes(input["device"])) }),
  encodeEnvelope: (input) => {
    const slots = list(input["slots"]).map((slot) => {
      const { tag, kind, message } = fields(slot);
      return { tag: bytes(tag), kind: text(kind) as "preKey" | "signal", message: bytes(message) };
    });
    const header = bytes(input["header"]);
    const parsed = { version: 1, kind: "direct", id: header.slice(2, 18), senderDevice: header.slice(18, 34), keyHash: header.slice(34), bytes: header } as const;
    return json({ bytes: encodeEnvelope({ header: parsed, slots, body: bytes(input["body"]) }) });
  },
  decodeFrame: (input) => {
    const frame = decodeFrame(bytes(input["bytes"]));
    if (frame.kind !== "envelope") return json(frame);
    const { header, slots, body } = frame.envelope;
    return json({ kind: "envelope", header: header.bytes, id: header.id, senderDevice: header.senderDevice, keyHash: header.keyHash, slots, body });
  },
  open: (input) => {
    const envelope = decodeEnvelope(bytes(input["bytes"]));
    const message = findSlot(crypto, envelope, bytes(input["device"]))?.message;
    return json({ message, padded: openBody(crypto, envelope, bytes(input["slotPlaintext"])), bind: bindHash(crypto, envelope) });
  },
  proveDevice: (input) => {
    const options = { user: text(input["user"]), accountKey: bytes(input["accountKey"]), device: bytes(input["device"]), identityPrivateKey: bytes(input["identityPrivateKey"]) };
    return json({ proof: proveDevice(crypto, once(input["random"]), options) });
  },
  signDeviceList: (input) => {
    const devices = list(input["devices"]).map((entry) => {
      const { device, identityKey, suites, since, proof } = fields(entry);
      return { device: bytes(device), identityKey: bytes(identityKey), suites: number(suites), since: number(since), proof: bytes(proof) };
    });
    const options = { user: text(input["user"]), epoch: number(input["epoch"]), previousHash: bytes(input["previousHash"]), devices, removed: list(input["removed"]).map(bytes) };
    const { signed, hash } = signDeviceList(crypto, once(input["random"]), bytes(input["accountPrivateKey"]), options);
    return json({ bytes: signed, hash });
  },
  decodeDeviceList: (input) => listFields(decodeDeviceList(crypto, bytes(input["bytes"]))),
  acceptDeviceList: (input) => {
    const known = input["known"] === null ? undefined : decodeDeviceList(crypto, bytes(input["known"]));
    return { verdict: acceptDeviceList(crypto, known, decodeDeviceList(crypto, bytes(input["next"])), text(input["user"])) };
  },
  signBundle: (input) => {
    const { id, publicKey, signature } = fields(input["signedPreKey"]);
    const { signed } = signBundle(crypto, once(input["random"]), bytes(input["identityPrivateKey"]), {
      user: text(input["user"]),
      device: bytes(input["device"]),
      registrationId: number(input["registrationId"]),
      signedPreKey: { id: number(id), publicKey: bytes(publicKey), signature: bytes(signature) },
      createdAt: number(input["createdAt"]),
    });
    return json({ bytes: signed });
  },
  verifyBundle: (input) => {
    const { device, registrationId, signedPreKey, createdAt } = verifyBundle(crypto, text(input["user"]), bytes(input["identityKey"]), bytes(input["bytes"]));
    return json({ device, registrationId, signedPreKey, createdAt });
  },
  encodeDirectoryRecord: (input) => json({ bytes: encodeDirectoryRecord({ deviceList: bytes(input["deviceList"]), bundles: list(input["bundles"]).map(bytes) }) }),
  decodeDirectoryRecord: (input) => json(decodeDirectoryRecord(bytes(input["bytes"]))),
  encodeStockedPreKey: (input) => json({ bytes: encodeStockedPreKey({ id: number(input["id"]), publicKey: bytes(input["publicKey"]) }) }),
  decodeStockedPreKey: (input) => json(decodeStockedPreKey(bytes(input["bytes"]))),
  toText: (input) => ({ text: toText(bytes(input["bytes"])) }),
  fromText: (input) => json({ bytes: fromText(text(input["text"])) }),
  sealAccountFile: (input) => {
    const kdf = { t: number(input["t"]), mKiB: number(input["mKiB"]), p: number(input["p"]), salt: bytes(input["salt"]) };
    const deviceList = decodeDeviceList(crypto, bytes(input["deviceList"]));
    const account = { user: text(input["user"]), accountPrivateKey: bytes(input["accountPrivateKey"]), deviceList };
    return json({ bytes: encodeAccountFile(crypto, once(input["nonce"]), bytes(input["key"]), kdf, account) });
  },
  openAccountFile: (input) => {
    const { user, accountPrivateKey, deviceList } = openAccountFile(crypto, bytes(input["key"]), bytes(input["bytes"]));
    if (!equal(decodeDeviceList(crypto, deviceList.signed).hash, deviceList.hash)) throw new Error("the list has another hash");
    return json({ user, accountPrivateKey, epoch: deviceList.epoch, hash: deviceList.hash, deviceList: deviceList.signed });
  },
};
