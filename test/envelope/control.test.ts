import { describe, expect, test } from "vitest";
import { concat } from "../../src/bytes.ts";
import { MAX_RECORD_LENGTH } from "../../src/envelope/bundle.ts";
import { decodeFrame, encodeBundleReply, encodeBundleRequest } from "../../src/envelope/control.ts";
import { decodeEnvelope } from "../../src/envelope/envelope.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { codeOf, envelope, errorOf } from "./fixtures.ts";

const random = seededRandom(testSeed("control"));
const nonce = random.bytes(16);
const record = random.bytes(300);

describe("frames", () => {
  test("round trip of all three kinds", () => {
    const { bytes } = envelope(random, [random.bytes(16)], random.bytes(128));
    expect(decodeFrame(bytes)).toEqual({ kind: "envelope", envelope: decodeEnvelope(bytes) });
    expect(decodeFrame(encodeBundleRequest(nonce))).toEqual({ kind: "bundle-request", nonce });
    expect(encodeBundleRequest(nonce)).toEqual(concat(Uint8Array.of(1, 16), nonce));
    expect(decodeFrame(encodeBundleReply(nonce, record))).toEqual({ kind: "bundle-reply", nonce, record });
  });

  test("truncations and a byte too many are refused", () => {
    for (const bytes of [encodeBundleRequest(nonce), encodeBundleReply(nonce, record)]) {
      for (let n = 0; n < bytes.length; n++) expect(codeOf(() => decodeFrame(bytes.subarray(0, n)))).toBe("ERR_DECODE");
      expect(codeOf(() => decodeFrame(concat(bytes, Uint8Array.of(0))))).toBe("ERR_DECODE");
    }
  });

  test("versions and kinds to come are ERR_VERSION and say which", () => {
    for (const frame of [encodeBundleRequest(nonce), encodeBundleReply(nonce, record)]) {
      expect(errorOf(() => decodeFrame(frame.with(0, 2))).detail).toEqual({ what: "envelope", version: 2 });
    }
    for (const kind of [0, 2, 3, 15, 18, 255]) expect(errorOf(() => decodeFrame(encodeBundleRequest(nonce).with(1, kind))).detail).toEqual({ what: "envelope kind", version: kind });
  });

  test("limits", () => {
    const largest = encodeBundleReply(nonce, new Uint8Array(MAX_RECORD_LENGTH));
    expect(codeOf(() => decodeFrame(largest))).toBeUndefined();
    expect(codeOf(() => encodeBundleReply(nonce, new Uint8Array(MAX_RECORD_LENGTH + 1)))).toBe("ERR_TOO_LARGE");
    expect(codeOf(() => decodeFrame(largest.with(21, 1)))).toBe("ERR_TOO_LARGE");
    expect(codeOf(() => encodeBundleRequest(nonce.subarray(1)))).toBe("ERR_USAGE");
    expect(codeOf(() => encodeBundleReply(nonce.subarray(1), record))).toBe("ERR_USAGE");
  });
});
