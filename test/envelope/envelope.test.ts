import { describe, expect, test } from "vitest";
import { concat, compare, copy } from "../../src/bytes.ts";
import { bindHash, decodeEnvelope, encodeEnvelope, findSlot, HEADER_LENGTH, MAX_ENVELOPE_LENGTH, openBody, sealBody, slotTag, type Slot } from "../../src/envelope/envelope.ts";
import { padContent, unpadContent } from "../../src/envelope/padding.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { codeOf, crypto, envelope, errorOf, flip } from "./fixtures.ts";

const random = seededRandom(testSeed("envelope"));
const devices = [random.bytes(16), random.bytes(16), random.bytes(16)] as const;
const padded = padContent(random.bytes(50));
const { sealed, bytes } = envelope(random, devices, padded);
const SLOTS_END = HEADER_LENGTH + 2 + 3 * (8 + 1 + 2 + 141);

describe("envelope", () => {
  test("round trip: every device finds its slot and opens the body, another device finds none", () => {
    const decoded = decodeEnvelope(bytes);
    expect(decoded.header).toEqual(sealed.header);
    for (const device of devices) {
      expect(findSlot(crypto, decoded, device)?.tag).toEqual(slotTag(crypto, decoded.header.id, device));
      expect(openBody(crypto, decoded, sealed.slotPlaintext)).toEqual(padded);
    }
    expect(findSlot(crypto, decoded, random.bytes(16))).toBeUndefined();
    expect(bindHash(crypto, decoded)).toEqual(sealed.bind);
    expect(sealed.slotPlaintext).toHaveLength(64);
    expect(encodeEnvelope(decoded)).toEqual(bytes);
    expect(unpadContent(openBody(crypto, decoded, sealed.slotPlaintext))).toHaveLength(50);
  });

  test("a device's tag is another one in every envelope", () => {
    expect(slotTag(crypto, random.bytes(16), devices[0])).not.toEqual(slotTag(crypto, random.bytes(16), devices[0]));
  });

  test("slots are written in the order of their tags, whatever order they are given in", () => {
    const decoded = decodeEnvelope(bytes);
    expect(encodeEnvelope({ ...decoded, slots: [...decoded.slots].reverse() })).toEqual(bytes);
    expect(decoded.slots.map((slot) => slot.tag)).toEqual(decoded.slots.map((slot) => slot.tag).sort(compare));
  });

  test("what is decoded shares no memory with its source, and sealing writes to nothing it was given", () => {
    const source = copy(bytes);
    const decoded = decodeEnvelope(source);
    source.fill(0);
    expect(encodeEnvelope(decoded)).toEqual(bytes);
    const before = copy(padded);
    sealBody(crypto, random.bytes, { id: random.bytes(16), senderDevice: random.bytes(16) }, padded);
    expect(padded).toEqual(before);
    const key = copy(sealed.slotPlaintext);
    openBody(crypto, decoded, key);
    expect(key).toEqual(sealed.slotPlaintext);
  });

  test("every bit of header and body: a typed error; every bit of a slot: an error or another slot", () => {
    let opened = 0;
    for (let at = 0; at < bytes.length; at++) {
      const changed = flip(bytes, at, at % 8);
      const inSlots = at >= HEADER_LENGTH + 2 && at < SLOTS_END;
      const code = codeOf(() => openBody(crypto, decodeEnvelope(changed), sealed.slotPlaintext));
      if (!inSlots) expect(code, `byte ${String(at)}`).toMatch(/^ERR_(DECODE|VERSION|DECRYPT|TOO_LARGE)$/);
      else if (code === undefined) {
        opened++;
        // The body does not vouch for slots; the change is in a tag, a kind or a message, and the ratchet refuses those.
        expect(decodeEnvelope(changed).slots).not.toEqual(decodeEnvelope(bytes).slots);
      }
    }
    expect(opened).toBeGreaterThan(100);
  });

  test("every truncation is refused, and one byte too many", () => {
    for (let n = 0; n < bytes.length; n++) expect(codeOf(() => decodeEnvelope(bytes.subarray(0, n))), String(n)).toBe("ERR_DECODE");
    expect(codeOf(() => decodeEnvelope(concat(bytes, Uint8Array.of(0))))).toBe("ERR_DECODE");
  });

  test("versions and kinds to come are ERR_VERSION and say which", () => {
    const cases = [[0, 2, "envelope"], [1, 2, "envelope kind"], [1, 3, "envelope kind"], [1, 16, "envelope kind"], [HEADER_LENGTH + 2 + 8, 7, "slot kind"]] as const;
    for (const [at, value, what] of cases) {
      const error = errorOf(() => decodeEnvelope(bytes.with(at, value)));
      expect([error.code, error.detail]).toEqual(["ERR_VERSION", { what, version: value }]);
    }
  });

  test("limits: 256 slots and 1 MiB pass, one more does not, in both directions", () => {
    const slot = (i: number): Slot => ({ tag: Uint8Array.of(0, 0, 0, 0, 0, 0, i >>> 8, i), kind: "signal", message: new Uint8Array(1) });
    const slots = Array.from({ length: 257 }, (_, i) => slot(i));
    const full = encodeEnvelope({ header: sealed.header, slots: slots.slice(0, 256), body: sealed.body });
    expect(decodeEnvelope(full).slots).toHaveLength(256);
    expect(codeOf(() => encodeEnvelope({ header: sealed.header, slots, body: sealed.body }))).toBe("ERR_TOO_LARGE");
    expect(codeOf(() => decodeEnvelope(full.with(HEADER_LENGTH + 1, 1)))).toBe("ERR_TOO_LARGE");
    const room = MAX_ENVELOPE_LENGTH - HEADER_LENGTH - 2 - 4;
    const largest = encodeEnvelope({ header: sealed.header, slots: [], body: new Uint8Array(room) });
    expect(decodeEnvelope(largest).body).toHaveLength(room);
    expect(codeOf(() => encodeEnvelope({ header: sealed.header, slots: [], body: new Uint8Array(room + 1) }))).toBe("ERR_TOO_LARGE");
    expect(codeOf(() => decodeEnvelope(concat(largest, Uint8Array.of(0))))).toBe("ERR_TOO_LARGE");
    const long = { ...slot(1), message: new Uint8Array(65_536) };
    expect(codeOf(() => encodeEnvelope({ header: sealed.header, slots: [long], body: sealed.body }))).toBe("ERR_TOO_LARGE");
  });

  test("two slots of one tag: refused when written and when read", () => {
    const decoded = decodeEnvelope(bytes);
    const [first, second] = decoded.slots;
    if (first === undefined || second === undefined) throw new Error("two slots expected");
    expect(codeOf(() => encodeEnvelope({ ...decoded, slots: [first, { ...second, tag: first.tag }] }))).toBe("ERR_USAGE");
    const length = 8 + 1 + 2 + 141;
    const doubled = copy(bytes);
    doubled.copyWithin(HEADER_LENGTH + 2 + length, HEADER_LENGTH + 2, HEADER_LENGTH + 10);
    expect(codeOf(() => decodeEnvelope(doubled))).toBe("ERR_DECODE");
  });
});

describe("what a slot says about the body", () => {
  const decoded = decodeEnvelope(bytes);

  test("one body cannot open under two keys, although the AEAD alone would not notice a crafted one", () => {
    const other = sealBody(crypto, random.bytes, { id: decoded.header.id, senderDevice: decoded.header.senderDevice }, padded);
    // A sender who wants two devices to see two texts gives them two keys; the header commits to one of them.
    const twoFaced = concat(other.slotPlaintext.subarray(0, 32), sealed.bind);
    expect(codeOf(() => openBody(crypto, decoded, twoFaced))).toBe("ERR_DECRYPT");
    expect(codeOf(() => openBody(crypto, decoded, sealed.slotPlaintext))).toBeUndefined();
  });

  test("the commitment is what stops a second key: with its own key hash the same bytes would open", () => {
    const other = sealBody(crypto, random.bytes, { id: decoded.header.id, senderDevice: decoded.header.senderDevice }, padded);
    const own = { header: other.header, slots: [], body: other.body };
    expect(openBody(crypto, own, other.slotPlaintext)).toEqual(padded);
    const otherHash = { ...own, header: { ...other.header, keyHash: sealed.header.keyHash } };
    expect(codeOf(() => openBody(crypto, otherHash, other.slotPlaintext))).toBe("ERR_DECRYPT");
  });

  test("who knows the content key still cannot put another body under the same header", () => {
    const contentKey = sealed.slotPlaintext.subarray(0, 32);
    const key = crypto.hkdfSha256(contentKey, undefined, new TextEncoder().encode("miyu/body/v1"), 32);
    const body = crypto.aeadSeal(key, new Uint8Array(24), decoded.header.bytes, padContent(random.bytes(50)));
    const swapped = { ...decoded, body };
    // The attacker's body is sealed correctly: under its own bind it opens, under the sender's it does not.
    expect(openBody(crypto, swapped, concat(contentKey, bindHash(crypto, swapped)))).toHaveLength(128);
    expect(codeOf(() => openBody(crypto, swapped, sealed.slotPlaintext))).toBe("ERR_DECRYPT");
  });

  test("a slot of another envelope opens nothing here", () => {
    const other = envelope(random, devices, padded);
    expect(codeOf(() => openBody(crypto, decoded, other.sealed.slotPlaintext))).toBe("ERR_DECRYPT");
  });

  test("every bit and every other length of the slot plaintext: the same error without a reason", () => {
    for (let at = 0; at < 64; at++) {
      const error = errorOf(() => openBody(crypto, decoded, flip(sealed.slotPlaintext, at, at % 8)));
      expect([error.code, error.message, error.detail, error.cause]).toEqual(["ERR_DECRYPT", "ERR_DECRYPT", {}, undefined]);
    }
    for (const length of [0, 32, 63]) expect(codeOf(() => openBody(crypto, decoded, sealed.slotPlaintext.subarray(0, length)))).toBe("ERR_DECRYPT");
    expect(codeOf(() => openBody(crypto, decoded, concat(sealed.slotPlaintext, Uint8Array.of(0))))).toBe("ERR_DECRYPT");
  });

  test("ids of a wrong length are the caller's mistake", () => {
    expect(codeOf(() => sealBody(crypto, random.bytes, { id: random.bytes(15), senderDevice: random.bytes(16) }, padded))).toBe("ERR_USAGE");
    expect(codeOf(() => sealBody(crypto, random.bytes, { id: random.bytes(16), senderDevice: random.bytes(17) }, padded))).toBe("ERR_USAGE");
    expect(codeOf(() => slotTag(crypto, random.bytes(16), random.bytes(0)))).toBe("ERR_USAGE");
  });
});
