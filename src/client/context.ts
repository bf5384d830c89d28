/** What the parts of one client share. */
import type { Bytes } from "../bytes.ts";
import type { Crypto, Random } from "../crypto/types.ts";
import type { RecordKey, Store } from "../store/types.ts";
import type { Directory, Transport, UserId } from "../transport/types.ts";
import type { OwnAccount } from "./account.ts";
import type { EventHub } from "./events.ts";
import type { Policy } from "./types.ts";

/** One open client, seen from inside. */
export interface Context {
  readonly account: OwnAccount;
  readonly crypto: Crypto;
  readonly random: Random;
  /** Milliseconds since 1970: a whole number, not negative, whatever the clock says. */
  readonly now: () => number;
  readonly store: Store;
  readonly policy: Policy;
  /** Whether plaintext stays in the archive. */
  readonly keepPlaintext: boolean;
  readonly transport: Transport | undefined;
  readonly directory: Directory | undefined;
  /** Sends a control frame to a user, if there is a way. */
  readonly sendControl: ((to: UserId, frame: Bytes) => Promise<void>) | undefined;
  readonly events: EventHub;
  /** Keys a transaction of this purpose needed the last time. Naming them at once saves a second run; nothing is believed because of it. */
  readonly hints: Map<string, readonly RecordKey[]>;
  /** Fires on `close`. */
  readonly closing: AbortSignal;
}
