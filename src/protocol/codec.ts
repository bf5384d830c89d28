/**
 * The protobuf wire format, as far as messages need it: varints and byte strings, with the reader's tolerance and the
 * writer's order written down in docs/interop.md. Any field order, unknown fields and groups are skipped, the last of a
 * repeated scalar wins, 64-bit varints are cut to 32 bits; everything malformed is ERR_DECODE.
 */
import type { Bytes } from "../bytes.ts";
import { MiyuError } from "../errors.ts";

/** Groups nested deeper than this are refused, so that skipping needs bounded memory. */
const MAX_GROUP_DEPTH = 100;

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const GROUP_START = 3;
const GROUP_END = 4;
const FIXED32 = 5;

/** A field to write: its number and its value; undefined is left out, 0 and the empty string are written. */
export type ProtobufField = readonly [number: number, value: number | Uint8Array | undefined];

/** How much room to leave around the encoded fields. */
export interface ProtobufFrame {
  /** Bytes in front, zero. */
  readonly before?: number;
  /** Bytes behind, zero. */
  readonly after?: number;
}

/** Encodes `fields` in the order given, with room around them for a version byte or a MAC. Numbers are uint32. */
export function encodeProtobuf(fields: readonly ProtobufField[], frame: ProtobufFrame = {}): Bytes {
  const { before = 0, after = 0 } = frame;
  let length = before + after;
  for (const [number, value] of fields) {
    if (value === undefined) continue;
    length += varintLength(number << 3);
    length += typeof value === "number" ? varintLength(value) : varintLength(value.length) + value.length;
  }
  const out = new Uint8Array(length);
  let offset = before;
  for (const [number, value] of fields) {
    if (value === undefined) continue;
    if (typeof value === "number") {
      offset = writeVarint(out, offset, (number << 3) | VARINT);
      offset = writeVarint(out, offset, value);
    } else {
      offset = writeVarint(out, offset, (number << 3) | LENGTH_DELIMITED);
      offset = writeVarint(out, offset, value.length);
      out.set(value, offset);
      offset += value.length;
    }
  }
  return out;
}

/**
 * Reads one protobuf message field by field: `while (reader.next()) switch (reader.field) { … default: reader.skip(); }`.
 * Every field must be taken with `u32`, `bytes` or `skip` before the next. Byte strings are views of the input.
 */
export class ProtobufReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #offset = 0;
  #field = 0;
  #wireType = 0;

  /** @param what - names the message in errors */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  /** Number of the current field. */
  get field(): number {
    return this.#field;
  }

  /** Moves to the next field; false at the end. @throws {MiyuError} ERR_DECODE */
  next(): boolean {
    if (this.#offset === this.#bytes.length) return false;
    this.#tag();
    return true;
  }

  /** The current field as uint32: a longer varint is cut. @throws {MiyuError} ERR_DECODE also for another wire type */
  u32(): number {
    if (this.#wireType !== VARINT) this.fail();
    return this.#varint().low;
  }

  /** The current field as a view of the input. @throws {MiyuError} ERR_DECODE also for another wire type */
  bytes(): Uint8Array {
    if (this.#wireType !== LENGTH_DELIMITED) this.fail();
    const length = this.#length();
    const start = this.#offset;
    this.#advance(length);
    return this.#bytes.subarray(start, this.#offset);
  }

  /** Passes over the current field, whatever it is. @throws {MiyuError} ERR_DECODE */
  skip(): void {
    const groups: number[] = [];
    for (;;) {
      switch (this.#wireType) {
        case VARINT:
          this.#varint();
          break;
        case FIXED64:
          this.#advance(8);
          break;
        case LENGTH_DELIMITED:
          this.#advance(this.#length());
          break;
        case GROUP_START:
          if (groups.length === MAX_GROUP_DEPTH) this.fail();
          groups.push(this.#field);
          break;
        case GROUP_END:
          if (groups.pop() !== this.#field) this.fail();
          break;
        case FIXED32:
          this.#advance(4);
          break;
        default:
          this.fail();
      }
      if (groups.length === 0) return;
      this.#tag();
    }
  }

  /** Fails at the current offset. */
  fail(): never {
    throw new MiyuError("ERR_DECODE", { what: this.#what, offset: this.#offset });
  }

  #tag(): void {
    const { low, high } = this.#varint();
    if (high !== 0 || low < 8) this.fail();
    this.#field = low >>> 3;
    this.#wireType = low & 7;
  }

  #length(): number {
    const { low, high } = this.#varint();
    if (high !== 0) this.fail();
    return low;
  }

  #advance(length: number): void {
    if (length > this.#bytes.length - this.#offset) this.fail();
    this.#offset += length;
  }

  /** A varint of at most 10 bytes and 64 bits, in two halves. */
  #varint(): { low: number; high: number } {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#offset];
      if (byte === undefined) this.fail();
      this.#offset++;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else if (shift < 63) high |= bits << (shift - 32);
      else {
        if (byte > 1) this.fail();
        high |= bits << 31;
      }
      if (byte < 0x80) return { low: low >>> 0, high: high >>> 0 };
    }
    return this.fail();
  }
}

function varintLength(value: number): number {
  const unsigned = value >>> 0;
  if (unsigned < 0x80) return 1;
  if (unsigned < 0x4000) return 2;
  if (unsigned < 0x200000) return 3;
  return unsigned < 0x10000000 ? 4 : 5;
}

function writeVarint(out: Uint8Array, offset: number, value: number): number {
  let left = value >>> 0;
  let at = offset;
  while (left > 0x7f) {
    out[at++] = (left & 0x7f) | 0x80;
    left >>>= 7;
  }
  out[at++] = left;
  return at;
}
