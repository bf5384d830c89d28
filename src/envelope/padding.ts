/**
 * Length hiding (docs/protocol.md §4): content ‖ 0x80 ‖ zeros up to a Padmé length, at least 128 bytes.
 * Padmé lets the length leak O(log log n) bits at an overhead of at most 12 % (Nikitin et al., PETS 2019, §4).
 */
import { type Bytes, copy } from "../bytes.ts";
import { MiyuError } from "../errors.ts";

/** Smallest padded content, bytes. */
const MINIMUM = 128;

/** The padded length for `length` bytes of content and their end marker. */
export function paddedLength(length: number): number {
  const needed = length + 1;
  if (needed <= MINIMUM) return MINIMUM;
  const exponent = 31 - Math.clz32(needed);
  const kept = 32 - Math.clz32(exponent);
  const step = 2 ** (exponent - kept);
  return Math.ceil(needed / step) * step;
}

/** Pads `content`. The caller wipes the result, which holds the plaintext. */
export function padContent(content: Uint8Array): Bytes {
  const out = new Uint8Array(paddedLength(content.length));
  out.set(content);
  out[content.length] = 0x80;
  return out;
}

/**
 * Opposite of {@link padContent}; only the one padding that it writes is accepted. Call it after the body was authenticated.
 * @throws {MiyuError} ERR_DECODE
 */
export function unpadContent(padded: Uint8Array): Bytes {
  let end = padded.length - 1;
  while (end >= 0 && padded[end] === 0) end--;
  if (padded[end] !== 0x80 || paddedLength(end) !== padded.length) throw new MiyuError("ERR_DECODE", { what: "padding" });
  return copy(padded.subarray(0, end));
}
