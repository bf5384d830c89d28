import protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import { concat, toHex, type Bytes } from "../../src/bytes.ts";
import { encodeProtobuf, ProtobufReader, type ProtobufField } from "../../src/protocol/codec.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { codeOf } from "./parties.ts";

const FIELDS = ["a", "b", "c", "d", "e", "f"] as const;

/** Fields 1, 3, 5 are uint32, fields 2, 4, 2000 bytes. */
const Sample = protobuf.parse(
  `syntax = "proto2"; message Sample { optional uint32 a = 1; optional bytes b = 2; optional uint32 c = 3;
   optional bytes d = 4; optional uint32 e = 5; optional bytes f = 2000; }`,
).root.lookupType("Sample");

type Values = Partial<Record<(typeof FIELDS)[number], number | Uint8Array>>;

function read(bytes: Uint8Array): Values {
  const reader = new ProtobufReader(bytes, "sample");
  const out: Values = {};
  while (reader.next()) {
    if (reader.field === 1) out.a = reader.u32();
    else if (reader.field === 2) out.b = new Uint8Array(reader.bytes());
    else if (reader.field === 3) out.c = reader.u32();
    else if (reader.field === 4) out.d = new Uint8Array(reader.bytes());
    else if (reader.field === 5) out.e = reader.u32();
    else if (reader.field === 2000) out.f = new Uint8Array(reader.bytes());
    else reader.skip();
  }
  return out;
}

/** Byte strings as text: comparing typed arrays of this many samples takes the runner seconds. */
const plain = (values: Values): Record<string, number | string> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, typeof value === "number" ? value : toHex(value)]));

const bytes = (...values: number[]): Bytes => Uint8Array.from(values);

describe("against protobufjs", () => {
  const random = seededRandom(testSeed("codec"));
  const samples = Array.from({ length: 1_000 }, (): Values => {
    const values: Values = {};
    for (const [i, name] of FIELDS.entries()) {
      if (!random.chance(0.7)) continue;
      values[name] = i % 2 === 0 && i < 5 ? random.u32() >>> random.int(32) : random.bytes(random.int(300));
    }
    return values;
  });

  test(`writes the same bytes (seed ${String(random.seed)})`, () => {
    for (const values of samples) {
      const fields = FIELDS.map((name, i): ProtobufField => [i === 5 ? 2000 : i + 1, values[name]]);
      expect(toHex(encodeProtobuf(fields))).toBe(toHex(Sample.encode(values).finish()));
    }
  });

  test(`reads the same values, whatever the order and whatever lies between (seed ${String(random.seed)})`, () => {
    const unknown = protobuf.parse(
      `syntax = "proto2"; message Unknown { optional uint64 x = 6; optional fixed64 y = 7; optional string z = 8; optional fixed32 w = 9; }`,
    ).root.lookupType("Unknown");
    for (const values of samples) {
      const parts = random.shuffle(FIELDS.filter((name) => values[name] !== undefined)).map((name) => Sample.encode({ [name]: values[name] }).finish());
      const noise = unknown.encode({ x: random.u32(), y: random.u32(), z: "noise", w: random.u32() }).finish();
      const wire = concat(...random.shuffle([...parts, noise]));
      expect(plain(read(wire))).toEqual(plain(values));
      expect(plain(Sample.toObject(Sample.decode(wire)))).toEqual(plain(values));
    }
  });
});

test("leaves room around the fields", () => {
  expect(encodeProtobuf([[1, 0], [2, new Uint8Array()]], { before: 2, after: 3 })).toEqual(bytes(0, 0, 8, 0, 18, 0, 0, 0, 0));
});

describe("tolerance of the reader", () => {
  test("the last of a repeated scalar wins", () => {
    expect(read(bytes(8, 1, 8, 2))).toEqual({ a: 2 });
    expect(read(bytes(18, 1, 65, 18, 0))).toEqual({ b: bytes() });
  });

  test("a 64-bit varint is cut to 32 bits", () => {
    expect(read(bytes(8, 0x85, 0x80, 0x80, 0x80, 0x10))).toEqual({ a: 5 });
    expect(read(bytes(8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01))).toEqual({ a: 0xffffffff });
  });

  test("an overlong varint is read", () => {
    expect(read(bytes(8, 0x85, 0x80, 0x00))).toEqual({ a: 5 });
  });

  test("unknown groups are passed over, nested ones too", () => {
    // group 6 { 1: 5, group 7 { 9: fixed32 }, 2: "A" }
    expect(read(bytes(0x33, 8, 5, 0x3b, 0x4d, 1, 2, 3, 4, 0x3c, 18, 1, 65, 0x34, 8, 9))).toEqual({ a: 9 });
  });
});

describe("refuses", () => {
  const deep = (depth: number): Bytes => concat(new Uint8Array(depth).fill(0x33), new Uint8Array(depth).fill(0x34));

  test.each([
    ["a wrong wire type for a number", bytes(10, 1, 1)],
    ["a wrong wire type for bytes", bytes(16, 1)],
    ["field number 0", bytes(0, 1)],
    ["a tag beyond 32 bits", bytes(0x88, 0x80, 0x80, 0x80, 0x10, 1)],
    ["wire type 6", bytes(0x36)],
    ["wire type 7", bytes(0x37)],
    ["a cut tag", bytes(0x88)],
    ["a missing value", bytes(8)],
    ["a cut varint", bytes(8, 0x80)],
    ["an 11-byte varint", bytes(8, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00)],
    ["a varint beyond 64 bits", bytes(8, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02)],
    ["bytes beyond the end", bytes(18, 2, 65)],
    ["a length beyond 32 bits", bytes(18, 0x80, 0x80, 0x80, 0x80, 0x10)],
    ["a cut fixed64", bytes(0x39, 1, 2, 3)],
    ["a cut fixed32", bytes(0x4d, 1, 2, 3)],
    ["a group without end", bytes(0x33, 8, 1)],
    ["a group closed by another number", bytes(0x33, 0x3c)],
    ["an end without a group", bytes(0x34)],
    ["groups nested 101 deep", deep(101)],
    ["groups nested a million deep", new Uint8Array(1_000_000).fill(0x33)],
  ])("%s", (_name, wire) => {
    expect(codeOf(() => read(wire))).toBe("ERR_DECODE");
  });

  test("but not groups nested 100 deep", () => {
    expect(read(deep(100))).toEqual({});
  });
});
