/**
 * The two message kinds as a schema of their own for `protobufjs`, written from docs/interop.md and not from our codec: a second
 * opinion on what is on the wire, and the eyes of the tests that must not trust the code they test.
 */
import protobuf from "protobufjs";
import { concat, toHex } from "../../src/bytes.ts";
import type { WireMessage } from "./peers/party.ts";

const { root } = protobuf.parse(
  `syntax = "proto2";
   message Signal {
     required bytes ratchetKey = 1;
     required uint32 counter = 2;
     optional uint32 previousCounter = 3;
     required bytes ciphertext = 4;
   }
   message PreKeySignal {
     optional uint32 oneTimePreKeyId = 1;
     required bytes baseKey = 2;
     required bytes identityKey = 3;
     required bytes message = 4;
     optional uint32 registrationId = 5;
     required uint32 signedPreKeyId = 6;
   }
   message Party { required bytes hash = 1; }
   message Scannable { required uint32 version = 1; required Party local = 2; required Party remote = 3; }`,
  { keepCase: true },
);

/** Schema types by name. */
export const SCHEMA = {
  signal: root.lookupType("Signal"),
  preKeySignal: root.lookupType("PreKeySignal"),
  scannable: root.lookupType("Scannable"),
};

/** Fields of a SignalMessage and what surrounds them. */
export interface SignalFields {
  readonly versionByte: number;
  readonly body: Uint8Array;
  readonly mac: Uint8Array;
  readonly ratchetKey: Uint8Array;
  readonly counter: number;
  readonly previousCounter: number;
  readonly ciphertext: Uint8Array;
}

/** Fields of a PreKeySignalMessage and what surrounds them. `oneTimePreKeyId` is undefined where the field is absent. */
export interface PreKeySignalFields {
  readonly versionByte: number;
  readonly body: Uint8Array;
  readonly oneTimePreKeyId: number | undefined;
  readonly baseKey: Uint8Array;
  readonly identityKey: Uint8Array;
  readonly message: Uint8Array;
  readonly registrationId: number;
  readonly signedPreKeyId: number;
}

/** Reads a SignalMessage. */
export function readSignal(bytes: Uint8Array): SignalFields {
  const body = bytes.subarray(1, bytes.length - 8);
  const fields = SCHEMA.signal.toObject(SCHEMA.signal.decode(body), { defaults: true }) as Omit<SignalFields, "versionByte" | "body" | "mac">;
  return { ...fields, versionByte: bytes[0] ?? 0, body, mac: bytes.subarray(bytes.length - 8) };
}

/** Reads a PreKeySignalMessage. */
export function readPreKeySignal(bytes: Uint8Array): PreKeySignalFields {
  const body = bytes.subarray(1);
  const fields = SCHEMA.preKeySignal.toObject(SCHEMA.preKeySignal.decode(body)) as Omit<PreKeySignalFields, "versionByte" | "body">;
  return { ...fields, oneTimePreKeyId: fields.oneTimePreKeyId, versionByte: bytes[0] ?? 0, body };
}

/** The ratchet key of a message of either kind, as hexadecimal. */
export function ratchetKeyOf(message: WireMessage): string {
  const signal = message.kind === "preKey" ? readPreKeySignal(message.bytes).message : message.bytes;
  return toHex(readSignal(signal).ratchetKey);
}

/** A PreKeySignalMessage with another SignalMessage inside, everything else as it was. */
export function rewrapped(bytes: Uint8Array, change: (signal: Uint8Array) => Uint8Array): Uint8Array {
  const fields = readPreKeySignal(bytes);
  const body = SCHEMA.preKeySignal.encode({ ...fields, message: change(new Uint8Array(fields.message)) }).finish();
  return concat(Uint8Array.of(fields.versionByte), body);
}

/** Field numbers in the order in which they were written. */
export function fieldOrder(body: Uint8Array): number[] {
  const reader = protobuf.Reader.create(body);
  const order: number[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    order.push(tag >>> 3);
    reader.skipType(tag & 7);
  }
  return order;
}
