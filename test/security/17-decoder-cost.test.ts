// Attack 17: a megabyte of "=" against a quadratic pattern, or a length of 4 GiB against an allocation made before it is checked
// (OpenE2EE 0.2.1 `/=+$/`). Guards: the loops of src/bytes.ts look at no character twice, src/envelope/text.ts refuses by length first, and
// `Reader.bytes` checks what is left. Without them the counts below are exceeded, or the run never ends. Nothing is timed: work is counted.
import { afterEach, describe, expect, test, vi } from "vitest";
import { concat, fromBase64url, Reader, u32be, type Bytes } from "../../src/bytes.ts";
import { decodeDirectoryRecord } from "../../src/envelope/bundle.ts";
import { decodeFrame } from "../../src/envelope/control.ts";
import { decodeContent } from "../../src/envelope/content.ts";
import { decodeDeviceList } from "../../src/envelope/deviceList.ts";
import { decodeEnvelope, MAX_ENVELOPE_LENGTH } from "../../src/envelope/envelope.ts";
import { decodeAccountFileHeader } from "../../src/envelope/accountFile.ts";
import { fromText, looksLikeMiyuText } from "../../src/envelope/text.ts";
import { decodeSessionRecordWhole, decodeSignalMessage } from "../../src/protocol/index.ts";
import { codeOf } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { attack, crypto, outcome, open, seal, World } from "./people.ts";

const random = seededRandom(testSeed("17 decoder cost"));
const MEGABYTE = 1 << 20;

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** Characters looked at while `run` runs. */
function looks(run: () => unknown): number {
  const spy = vi.spyOn(String.prototype, "charCodeAt");
  run();
  const { length } = spy.mock.calls;
  spy.mockRestore();
  return length;
}

/** The longest array of bytes made by a length while `run` runs. */
function longest(run: () => unknown): number {
  let most = 0;
  const counting = new Proxy(Uint8Array, {
    construct(target, given: unknown[], newTarget) {
      if (typeof given[0] === "number") most = Math.max(most, given[0]);
      return Reflect.construct(target, given, newTarget as typeof Uint8Array) as object;
    },
  });
  vi.stubGlobal("Uint8Array", counting);
  try {
    run();
  } finally {
    vi.unstubAllGlobals();
  }
  return most;
}

const HUGE: readonly [string, string][] = [
  ["only =", "=".repeat(MEGABYTE)],
  ["= and one letter", `${"=".repeat(MEGABYTE - 1)}A`],
  ["a letter, then =", `A${"=".repeat(MEGABYTE - 1)}`],
  ["letters, then =", `${"A".repeat(MEGABYTE / 2)}${"=".repeat(MEGABYTE / 2)}`],
  ["= between letters", "A=".repeat(MEGABYTE / 2)],
];

describe("a megabyte of padding", () => {
  test.each(HUGE)("%s", (_, text) => {
    expect(looks(() => expect(codeOf(() => fromBase64url(text))).toBe("ERR_DECODE"))).toBeLessThanOrEqual(text.length + 8);
    expect(codeOf(() => fromText(`miyu1.${text}`))).toBe("ERR_DECODE");
    expect(looksLikeMiyuText(`miyu1.${text}`)).toBe(false);
    expect(looksLikeMiyuText(`miyu1.${"A".repeat(MEGABYTE)}=${text.slice(-1_000)}!`)).toBe(false);
  });

  test("through a client, which goes on working", async () => {
    const [alice, bob] = await new World(random).friends();
    for (const [, text] of HUGE) expect(await attack(bob, alice, `miyu1.${text}`)).toBe("corrupt, none");
    expect(await attack(bob, alice, `miyu1.${"A".repeat(4 * MEGABYTE)}`)).toBe("corrupt, none");
    expect(await attack(bob, alice, new Uint8Array(MAX_ENVELOPE_LENGTH + 1))).toBe("corrupt, none");
    expect(outcome(await open(bob, alice, (await seal(alice, bob, "hi")).body))).toBe("message");
  });

  test("a long honest text is read in one pass", () => {
    const bytes = random.bytes(30_000);
    const text = Buffer.from(bytes).toString("base64url");
    let read: Bytes | undefined;
    expect(looks(() => (read = fromBase64url(text)))).toBeLessThanOrEqual(text.length + 8);
    expect(read).toEqual(bytes);
  });
});

describe("lengths that promise gigabytes allocate nothing", () => {
  const max = u32be(0xffffffff);
  const header = concat(Uint8Array.of(1, 1), new Uint8Array(64));
  const cases: [string, () => unknown][] = [
    ["Reader.bytes", () => new Reader(new Uint8Array(8), "test").bytes(0xffffffff)],
    ["Reader.lp32", () => new Reader(max, "test").lp32()],
    ["envelope body", () => decodeEnvelope(concat(header, Uint8Array.of(0, 0), max))],
    ["envelope slots", () => decodeEnvelope(concat(header, Uint8Array.of(1, 0)))],
    ["bundle reply", () => decodeFrame(concat(Uint8Array.of(1, 17), new Uint8Array(16), max))],
    ["directory record", () => decodeDirectoryRecord(Uint8Array.of(1, 0xff, 0xff))],
    ["device list entries", () => decodeDeviceList(crypto, concat(Uint8Array.of(1, 0, 1, 97, 5), new Uint8Array(32), u32be(1), new Uint8Array(32), Uint8Array.of(1, 0)))],
    ["content body", () => decodeContent(concat(Uint8Array.of(1, 0), new Uint8Array(8), Uint8Array.of(0, 1, 97), new Uint8Array(16), Uint8Array.of(1, 0, 1, 97), new Uint8Array(36), Uint8Array.of(0, 0, 1, 97), max))],
    ["signal message", () => decodeSignalMessage(concat(Uint8Array.of(0x33, 0x22, 0xff, 0xff, 0xff, 0xff, 0x0f), new Uint8Array(8)))],
    ["session record", () => decodeSessionRecordWhole(concat(Uint8Array.of(1), max))],
    ["account file with a gigabyte of memory and 2^32 passes", () => decodeAccountFileHeader(concat(Uint8Array.of(0x4d, 0x49, 0x59, 0x55, 1, 1), max, max, Uint8Array.of(4), new Uint8Array(40)))],
  ];
  test.each(cases)("%s", (_, run) => {
    let code: string | undefined;
    expect(longest(() => (code = codeOf(run)))).toBeLessThan(100_000);
    expect(code).toMatch(/^ERR_(DECODE|TOO_LARGE|STORE_CORRUPT)$/u);
  });

  test("the counter counts", () => {
    expect(longest(() => new Uint8Array(12_345))).toBe(12_345);
  });
});
