// Codes of the library in plain words. Each sentence says what happened and what the reader can do.
import { MiyuError } from "miyu";
import type { Cause, Description, Remedy } from "miyu";
import { nameOf } from "./people.ts";

const CAUSES: Readonly<Record<Cause, string>> = {
  "no-session": "there is no session with the sender's device",
  "prekey-gone": "it was sealed for a key that was used up or retired",
  "too-old": "it came so late that its key is no longer kept",
  "identity-changed": "the sender's keys have changed",
  corrupt: "it was damaged or forged on the way",
  "device-not-listed": "it came from a device that is not on the sender's list",
  version: "it was made by a newer version",
};

const REMEDIES: Readonly<Record<Remedy, string>> = {
  wait: "It will be tried again.",
  verify: "Compare safety numbers.",
  update: "Update this app to read it.",
  none: "The chat goes on after it.",
};

/** Why a message shows as a gap. */
export const gapInWords = (cause: Cause, remedy: Remedy): string => `A message could not be opened: ${CAUSES[cause]}. ${REMEDIES[remedy]}`;

const ERRORS: Readonly<Partial<Record<MiyuError["code"], string>>> = {
  ERR_CLOSED: "This window has been closed down. Reload it to go on.",
  ERR_NO_SESSION: "No keys to be found yet. They have to open their window once.",
  ERR_IDENTITY_CHANGED: "Their keys have changed, so nothing is sent. Compare safety numbers first.",
  ERR_SIGNATURE: "The keys the relay gave out are not signed by their owner, so they were refused.",
  ERR_DOWNGRADE: "The relay offered weaker encryption than they support, so it was refused.",
  ERR_DEVICE_LIST: "The relay gave out a device list that breaks its own rules, so it was refused.",
  ERR_TOO_LARGE: "This message is too long to send. Please shorten it.",
  ERR_TRANSPORT_UNAVAILABLE: "The relay cannot be reached now. Messages wait here until it can.",
  ERR_TRANSPORT_REJECTED: "The relay refused. Trying the same again will not help.",
  ERR_STORE_UNAVAILABLE: "This browser's storage cannot be reached. Private windows sometimes forbid it.",
  ERR_STORE_CORRUPT: "What this browser stored has been damaged, so it was not used.",
  ERR_STORE_LOST: "The key to this browser's stored chats is gone.",
  ERR_ROLLBACK: "The stored state went back in time. Sending from here would be unsafe.",
  ERR_SCHEMA: "The stored chats were written by a newer version of this app.",
  ERR_QUOTA: "No space is left in this browser's storage. Nothing was changed.",
};

/** An error in words; the code stays in brackets for a report. */
export function errorInWords(error: unknown): string {
  if (MiyuError.is(error)) return `${ERRORS[error.code] ?? "Something went wrong."} (${error.code})`;
  return `Something went wrong. (${error instanceof Error ? error.message : String(error)})`;
}

/** A held-back message to a user whose keys changed. */
export const keysChanged = (user: string): string =>
  `${nameOf(user)}'s keys have changed. Either ${nameOf(user)} started afresh, or someone is in between. Nothing is sent until you compare.`;

/** Suites as people read about them. */
export const SUITES: Readonly<Record<Description["suites"][number], string>> = { x3dh: "X3DH and Double Ratchet, the classic Signal suite" };

/** How the device key is guarded. */
export const PROTECTIONS: Readonly<Record<Description["protection"], string>> = {
  "crypto-key": "a key this browser holds and never hands out, not even to this page",
  "key-record": "a key stored beside the chats: this browser cannot do better",
  "key-file": "a key in a file only this account can read",
  memory: "nothing is stored: it is gone when the window closes",
};

/** Crypto providers by name. */
export const PROVIDERS: Readonly<Partial<Record<string, string>>> = {
  sodium: "libsodium (WebAssembly)",
  noble: "noble (JavaScript)",
};
