import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { decodeContent, encodeContent, type Content } from "../../src/envelope/content.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { codeOf, content, errorOf, owner } from "./fixtures.ts";

const random = seededRandom(testSeed("content"));
const alice = owner(random, "alice", 1);
const sample: Content = { ...content(random, alice, utf8("你好 👋")), recipientList: { epoch: 9, hash: random.bytes(32) } };

describe("content", () => {
  test("round trip: direct, group, with and without the recipient's list, empty and long bodies", () => {
    const variants: readonly Content[] = [
      sample,
      { ...sample, recipientList: undefined },
      { ...sample, conversation: { kind: "group", group: "群 #1" } },
      { ...sample, body: new Uint8Array(0) },
      { ...sample, body: random.bytes(100_000) },
      { ...sample, sentAt: Number.MAX_SAFE_INTEGER },
      { ...sample, senderUser: "\ufeffa", senderList: { epoch: 0xffffffff, hash: random.bytes(32) } },
    ];
    for (const one of variants) expect(decodeContent(encodeContent(one))).toEqual(one);
  });

  test("what is decoded shares no memory with its source", () => {
    const bytes = encodeContent(sample);
    const decoded = decodeContent(bytes);
    bytes.fill(0);
    expect(decoded).toEqual(sample);
  });

  test("control and versions to come are ERR_VERSION and say which", () => {
    const bytes = encodeContent(sample);
    const control = errorOf(() => decodeContent(bytes.with(1, 1)));
    expect([control.code, control.detail]).toEqual(["ERR_VERSION", { what: "control", version: 1 }]);
    const version = errorOf(() => decodeContent(bytes.with(0, 2)));
    expect([version.code, version.detail]).toEqual(["ERR_VERSION", { what: "content", version: 2 }]);
  });

  test("every truncation and one byte too many are refused", () => {
    const bytes = encodeContent(sample);
    for (let n = 0; n < bytes.length; n++) expect(codeOf(() => decodeContent(bytes.slice(0, n))), String(n)).toBe("ERR_DECODE");
    expect(codeOf(() => decodeContent(Uint8Array.of(...bytes, 0)))).toBe("ERR_DECODE");
  });

  test("fields out of range are the caller's mistake", () => {
    const bad: readonly Partial<Content>[] = [
      { senderUser: "" }, { senderUser: "x".repeat(1025) }, { senderUser: "你".repeat(342) }, { senderUser: "a\ud800" }, { senderDevice: random.bytes(15) }, { sentAt: -1 }, { sentAt: 1.5 },
      { sentAt: 2 ** 53 }, { mediaType: "" }, { mediaType: "x".repeat(256) }, { senderList: { epoch: 2 ** 32, hash: random.bytes(32) } },
      { senderList: { epoch: 1, hash: random.bytes(31) } }, { conversation: { kind: "direct", peer: "" } },
    ];
    for (const field of bad) expect(codeOf(() => encodeContent({ ...sample, ...field })), JSON.stringify(Object.keys(field))).toBe("ERR_USAGE");
    expect(codeOf(() => encodeContent({ ...sample, senderUser: "你".repeat(341) }))).toBeUndefined();
  });

  test("a conversation kind and a list marker that are not known are refused", () => {
    const bytes = encodeContent(sample);
    const kindAt = 2 + 8 + 2 + 5 + 16;
    expect(bytes[kindAt]).toBe(1);
    expect(codeOf(() => decodeContent(bytes.with(kindAt, 3)))).toBe("ERR_DECODE");
    const markerAt = kindAt + 1 + 2 + 3 + 36;
    expect(bytes[markerAt]).toBe(1);
    // Without the reference behind it, a reader that takes every other marker for "none" would go on happily.
    const without = Uint8Array.of(...bytes.slice(0, markerAt + 1), ...bytes.slice(markerAt + 37));
    expect(codeOf(() => decodeContent(without.with(markerAt, 0)))).toBeUndefined();
    expect(codeOf(() => decodeContent(without.with(markerAt, 2)))).toBe("ERR_DECODE");
  });
});
