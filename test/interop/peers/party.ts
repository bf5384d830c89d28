/**
 * What every implementation looks like to the interoperability tests: a person with keys, who publishes bundles, starts sessions,
 * encrypts and decrypts, and keeps nothing in memory between two calls but what its own store holds.
 */
import type { Bytes } from "../../../src/bytes.ts";
import type { PreKeyBundle } from "../../../src/protocol/index.ts";

/** A message on the wire. */
export interface WireMessage {
  readonly kind: "preKey" | "signal";
  readonly bytes: Uint8Array;
}

/** What came of a message. `duplicate` only where the library says so by a code or an error class of its own. */
export type Outcome =
  | { readonly kind: "plaintext"; readonly plaintext: Uint8Array }
  | { readonly kind: "duplicate" }
  | { readonly kind: "refused"; readonly reason: string };

/** One person on one implementation. */
export interface Party {
  readonly name: string;
  /** Serialized, 33 bytes. */
  readonly identityKey: Uint8Array;
  /** A bundle for one initiator, with fresh prekeys. */
  publish(withOneTimePreKey: boolean): Promise<PreKeyBundle>;
  /** Starts a session from a bundle. Rejects if the library does not want it. */
  start(peer: string, bundle: PreKeyBundle): Promise<void>;
  encrypt(peer: string, plaintext: Uint8Array): Promise<WireMessage>;
  /** Never rejects: what the library throws is an outcome. */
  decrypt(peer: string, message: WireMessage): Promise<Outcome>;
  /** Forgets every object and goes on from stored text or bytes alone. */
  restart(): void;
  /** The stored session with `peer`, in whatever form the library stores it; undefined if there is none. */
  storedSession(peer: string): string | undefined;
}

/** Makes people of one implementation. */
export interface Implementation<P extends Party = Party> {
  /** Package and version. */
  readonly label: string;
  create(name: string): Promise<P>;
}

/** A copy of `bytes` as an `ArrayBuffer`. */
export function toArrayBuffer(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

/** Bytes of a string with one character per byte, the form in which both peers hand out messages. */
export function fromBinaryString(text: string): Bytes {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** First line of whatever was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message.split("\n", 1)[0] ?? ""}` : String(error);
}
