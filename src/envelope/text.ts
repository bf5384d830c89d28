/**
 * Frames as text, for an IM that carries text only (docs/protocol.md §7): `miyu1.` and base64url without padding.
 * Every function is linear in the length of its input, and refuses by length before it allocates.
 */
import { checkSize, fromBase64url, toBase64url, type Bytes } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import { MAX_ENVELOPE_LENGTH } from "./envelope.ts";

const PREFIX = "miyu1.";
const MAX_TEXT_LENGTH = PREFIX.length + Math.ceil(MAX_ENVELOPE_LENGTH / 3) * 4;
const OTHER_VERSION = /^miyu([0-9]{1,3})\./;
/** The three classes share no character, so there is one way to match and no backtracking. */
const LIKELY = /^miyu[0-9]{1,3}\.[A-Za-z0-9_\-+/]+={0,2}$/;

/** `miyu1.` ‖ base64url of `bytes`. */
export function toText(bytes: Uint8Array): string {
  return PREFIX + toBase64url(bytes);
}

/**
 * Opposite of {@link toText}. Standard base64 and `=` padding are accepted after the prefix, as some IMs rewrite the text.
 * @throws {MiyuError} ERR_TOO_LARGE, ERR_VERSION (`miyu` and another number), ERR_DECODE
 */
export function fromText(text: string): Bytes {
  checkSize(text.length, MAX_TEXT_LENGTH);
  if (!text.startsWith(PREFIX)) {
    const version = OTHER_VERSION.exec(text)?.[1];
    if (version !== undefined) throw new MiyuError("ERR_VERSION", { what: "text", version: Number(version) });
    throw new MiyuError("ERR_DECODE", { what: "text", offset: 0 });
  }
  return fromBase64url(text.slice(PREFIX.length), "text");
}

/** Whether `text` is meant for this library, also if of a version to come, and not something a person wrote. It may still not decode. */
export function looksLikeMiyuText(text: string): boolean {
  return text.length <= MAX_TEXT_LENGTH && LIKELY.test(text);
}
