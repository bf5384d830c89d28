import { describe, expect, test } from "vitest";
import {
  compare,
  concat,
  copy,
  equal,
  fromBase64url,
  fromUtf8,
  lp,
  lp32,
  Reader,
  toBase64url,
  toHex,
  u16be,
  u32be,
  u64be,
  utf8,
  wipe,
} from "../src/bytes.ts";
import { MiyuError } from "../src/errors.ts";
import { seededRandom, testSeed } from "./support/random.ts";

const random = seededRandom(testSeed("bytes"));
const seed = `seed ${String(random.seed)}`;

/** The error `call` throws; anything else fails the test. */
function errorOf(call: () => unknown): { code: string; detail: object } {
  try {
    call();
  } catch (error) {
    if (MiyuError.is(error)) return { code: error.code, detail: error.detail };
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("joining, copying, comparing, wiping", () => {
  test("concat joins views into a new array", () => {
    const source = Uint8Array.of(1, 2, 3, 4);
    const joined = concat(source.subarray(1, 3), new Uint8Array(), source.subarray(3));
    expect([...joined]).toEqual([2, 3, 4]);
    expect(concat().length).toBe(0);
    joined.fill(0);
    expect([...source]).toEqual([1, 2, 3, 4]);
    expect(concat(source).buffer).not.toBe(source.buffer);
  });

  test("copy shares no memory and copies the view only", () => {
    const source = Uint8Array.of(1, 2, 3, 4);
    const copied = copy(source.subarray(1, 3));
    source.fill(9);
    expect([...copied]).toEqual([2, 3]);
    expect(copied.buffer.byteLength).toBe(2);
    expect(Object.getPrototypeOf(copy(Buffer.from([1])))).toBe(Uint8Array.prototype);
  });

  test("equal", () => {
    const a = random.bytes(40);
    expect(equal(a, copy(a)), seed).toBe(true);
    expect(equal(new Uint8Array(), new Uint8Array())).toBe(true);
    expect(equal(a, a.subarray(1)), seed).toBe(false);
    for (let bit = 0; bit < a.length * 8; bit++) {
      const b = copy(a);
      b[bit >>> 3] = (b[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
      expect(equal(a, b), seed).toBe(false);
    }
  });

  test("compare orders as sorting hexadecimal does", () => {
    const list = Array.from({ length: 200 }, () => random.bytes(random.int(4)));
    expect([...list].sort(compare).map(toHex), seed).toEqual(list.map(toHex).sort());
    expect(Math.sign(compare(Uint8Array.of(1, 0), Uint8Array.of(1)))).toBe(1);
    expect(Math.sign(compare(Uint8Array.of(0x7f), Uint8Array.of(0x80)))).toBe(-1);
    expect(compare(Uint8Array.of(5), Uint8Array.of(5))).toBe(0);
  });

  test("wipe zeroes views, and leaves the rest of their buffer", () => {
    const buffer = Uint8Array.of(1, 2, 3, 4);
    wipe(buffer.subarray(1, 3), undefined);
    expect([...buffer]).toEqual([1, 0, 0, 4]);
  });
});

describe("integers and length prefixes", () => {
  test.each([
    [u16be, 0, "0000"],
    [u16be, 0x1234, "1234"],
    [u16be, 0xffff, "ffff"],
    [u32be, 0, "00000000"],
    [u32be, 0x80000001, "80000001"],
    [u32be, 0xffffffff, "ffffffff"],
    [u64be, 0, "0000000000000000"],
    [u64be, 2 ** 32, "0000000100000000"],
    [u64be, Number.MAX_SAFE_INTEGER, "001fffffffffffff"],
  ] as const)("%o of %i", (write, value, hex) => {
    expect(toHex(write(value))).toBe(hex);
    const reader = new Reader(write(value), "test");
    const read = { 4: () => reader.u16(), 8: () => reader.u32(), 16: () => reader.u64() }[hex.length as 4 | 8 | 16];
    expect(read()).toBe(value);
    reader.end();
  });

  test("lp and lp32", () => {
    expect(toHex(lp(Uint8Array.of(7, 8)))).toBe("00020708");
    expect(toHex(lp32(Uint8Array.of(7, 8)))).toBe("000000020708");
    expect(lp(new Uint8Array(0xffff)).length).toBe(0xffff + 2);
    expect(errorOf(() => lp(new Uint8Array(0x10000)))).toEqual({ code: "ERR_TOO_LARGE", detail: { size: 0x10000, limit: 0xffff } });
  });
});

describe("text", () => {
  test("UTF-8 there and back, in any language", () => {
    for (const text of ["", "abc", "端到端加密", "ü→🧵", "\u0000", "\ufeffbom"]) expect(fromUtf8(utf8(text))).toBe(text);
    expect(toHex(utf8("\ud800"))).toBe("efbfbd");
  });

  test.each(["ff", "c0af", "eda080", "f4908080", "e282"])("%s is not UTF-8", (hex) => {
    const bytes = Uint8Array.from(hex.match(/../gu) ?? [], (pair) => Number.parseInt(pair, 16));
    expect(errorOf(() => fromUtf8(bytes, "name"))).toEqual({ code: "ERR_DECODE", detail: { what: "name" } });
  });

  test("hexadecimal is that of Buffer", () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    expect(toHex(all)).toBe(Buffer.from(all).toString("hex"));
  });
});

describe("base64url", () => {
  test("is that of Buffer, for every length and byte", () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    expect(toBase64url(all)).toBe(Buffer.from(all).toString("base64url"));
    for (let length = 0; length < 70; length++) {
      const bytes = random.bytes(length);
      const text = Buffer.from(bytes).toString("base64url");
      expect(toBase64url(bytes), seed).toBe(text);
      expect(toHex(fromBase64url(text)), seed).toBe(toHex(bytes));
    }
  });

  test("reads standard base64 with padding too", () => {
    for (let length = 0; length < 70; length++) {
      const bytes = random.bytes(length);
      expect(toHex(fromBase64url(Buffer.from(bytes).toString("base64"))), seed).toBe(toHex(bytes));
    }
  });

  test.each(["A", "AAAAA", "AA=", "AAA==", "AAAA=", "AAAA==", "AA===", "=", "==", "A=AA", "AA=A", "AB", "AAB", "AB==", "A A=", "AA\n", "AA.A", "ＡＡ", "AAA\u0141"])(
    "%j is refused",
    (text) => {
      expect(errorOf(() => fromBase64url(text, "token"))).toEqual({ code: "ERR_DECODE", detail: { what: "token" } });
    },
  );

  test("accepts exactly the 66 characters of both alphabets", () => {
    const accepted = Array.from({ length: 0x250 }, (_, code) => String.fromCharCode(code)).filter((character) => {
      try {
        return fromBase64url(`AAA${character}`).length === 3;
      } catch {
        return false;
      }
    });
    expect(accepted.sort().join("")).toBe("+-/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz");
  });

  test("one text for one array: no two accepted texts without padding give the same bytes", () => {
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const seen = new Set<string>();
    let accepted = 0;
    for (const a of alphabet) {
      for (const b of alphabet) {
        try {
          seen.add(toHex(fromBase64url(a + b)));
          accepted++;
        } catch (error) {
          expect(MiyuError.is(error, "ERR_DECODE")).toBe(true);
        }
      }
    }
    expect([accepted, seen.size]).toEqual([256, 256]);
  });
});

describe("Reader", () => {
  test("reads a frame front to back and copies", () => {
    const frame = concat(Uint8Array.of(5), u16be(0x0102), u32be(0x03040506), u64be(2 ** 40), lp(utf8("né")), lp32(Uint8Array.of(9)), Uint8Array.of(1, 2, 3));
    const reader = new Reader(frame, "frame");
    expect([reader.u8(), reader.u16(), reader.u32(), reader.u64(), reader.text()]).toEqual([5, 0x0102, 0x03040506, 2 ** 40, "né"]);
    expect([[...reader.lp32()], reader.offset, reader.left]).toEqual([[9], frame.length - 3, 3]);
    const first = reader.bytes(1);
    const rest = reader.rest();
    frame.fill(0xff);
    expect([[...first], [...rest], reader.left]).toEqual([[1], [2, 3], 0]);
    expect(rest.buffer.byteLength).toBe(2);
    reader.end();
  });

  test("every read past the end is ERR_DECODE with its offset, and so are left-over bytes", () => {
    const reads: readonly ((reader: Reader) => unknown)[] = [
      (r) => r.u8(),
      (r) => r.u16(),
      (r) => r.u32(),
      (r) => r.u64(),
      (r) => r.bytes(1),
      (r) => r.lp(),
      (r) => r.lp32(),
      (r) => r.text(),
    ];
    for (const read of reads) {
      const reader = new Reader(Uint8Array.of(1), "frame");
      reader.u8();
      expect(errorOf(() => read(reader))).toEqual({ code: "ERR_DECODE", detail: { what: "frame", offset: 1 } });
    }
    expect(errorOf(() => new Reader(Uint8Array.of(1, 2), "frame").end())).toEqual({ code: "ERR_DECODE", detail: { what: "frame", offset: 0 } });
  });

  test("lengths that lie, integers that are not safe and text that is not UTF-8", () => {
    expect(errorOf(() => new Reader(concat(u16be(3), Uint8Array.of(1, 2)), "x").lp()).code).toBe("ERR_DECODE");
    expect(errorOf(() => new Reader(concat(u32be(0xffffffff), Uint8Array.of(1)), "x").lp32()).code).toBe("ERR_DECODE");
    expect(errorOf(() => new Reader(concat(u32be(0x00200000), u32be(0)), "x").u64()).code).toBe("ERR_DECODE");
    expect(errorOf(() => new Reader(lp(Uint8Array.of(0xff)), "x").text())).toEqual({ code: "ERR_DECODE", detail: { what: "x" } });
  });

  test("cut anywhere, a frame never reads whole", () => {
    const frame = concat(Uint8Array.of(1), lp(random.bytes(20)), lp32(random.bytes(30)), u64be(77));
    const readAll = (bytes: Uint8Array) => {
      const reader = new Reader(bytes, "frame");
      reader.u8();
      reader.lp();
      reader.lp32();
      reader.u64();
      reader.end();
    };
    readAll(frame);
    for (let size = 0; size < frame.length; size++) expect(errorOf(() => readAll(frame.subarray(0, size))).code, seed).toBe("ERR_DECODE");
    expect(errorOf(() => readAll(concat(frame, Uint8Array.of(0)))).code).toBe("ERR_DECODE");
  });
});
