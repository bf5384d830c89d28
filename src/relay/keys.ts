/** Keys of the relay's rows: a letter for the table, then ids in fixed or counted lengths, so no key is a prefix of another table's. */
import { concat, lp, u64be, utf8 } from "../bytes.ts";
import { idBytes } from "../transport/relayFrames.ts";
import type { DeviceId, UserId } from "../transport/types.ts";

const table = (letter: string): Uint8Array => utf8(letter);
const ofDevice = (user: UserId, device: DeviceId): Uint8Array => concat(lp(utf8(user)), idBytes(device));

/** Every key of the relay. */
export const keys = {
  /** Format of the whole store. */
  schema: table("v"),
  /** Which mailbox a device has; without a device, the one that waits for the user's first. */
  bindings: table("b"),
  binding: (user: UserId, device: DeviceId | undefined): Uint8Array =>
    concat(table("b"), lp(utf8(user)), device === undefined ? Uint8Array.of(0) : concat(Uint8Array.of(1), idBytes(device))),
  /** The next sequence of a mailbox. */
  sequence: (mailbox: Uint8Array): Uint8Array => concat(table("n"), mailbox),
  /** Messages of a mailbox, by sequence. */
  messages: (mailbox: Uint8Array): Uint8Array => concat(table("m"), mailbox),
  message: (mailbox: Uint8Array, sequence: number): Uint8Array => concat(table("m"), mailbox, u64be(sequence)),
  /** Idempotency keys of the device that has this mailbox, oldest first. */
  accepted: (mailbox: Uint8Array): Uint8Array => concat(table("k"), mailbox),
  acceptedKey: (mailbox: Uint8Array, order: number): Uint8Array => concat(table("k"), mailbox, u64be(order)),
  /** A user's directory record. */
  record: (user: UserId): Uint8Array => concat(table("r"), lp(utf8(user))),
  /** One-time prekeys in stock, oldest first. */
  prekeys: (user: UserId, device: DeviceId): Uint8Array => concat(table("o"), ofDevice(user, device)),
  prekey: (user: UserId, device: DeviceId, order: number): Uint8Array => concat(table("o"), ofDevice(user, device), u64be(order)),
  /** Hashes of one-time prekeys that were ever in stock. */
  stocked: (user: UserId, device: DeviceId): Uint8Array => concat(table("h"), ofDevice(user, device)),
  stockedKey: (user: UserId, device: DeviceId, hash: Uint8Array): Uint8Array => concat(table("h"), ofDevice(user, device), hash),
  /** A device's fence. */
  fence: (user: UserId, device: DeviceId): Uint8Array => concat(table("f"), ofDevice(user, device)),
} as const;
