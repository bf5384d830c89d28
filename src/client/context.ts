/** What the parts of one client share. */
import type { Bytes } from "../bytes.ts";
import type { Crypto, Random } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
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

/** @throws {MiyuError} ERR_CLOSED, ERR_ABORTED */
export function checkOpen(context: Pick<Context, "closing">, signal?: AbortSignal): void {
  if (context.closing.aborted) throw new MiyuError("ERR_CLOSED", { what: "client" });
  if (signal?.aborted === true) throw new MiyuError("ERR_ABORTED");
}

/** Resolves after `ms`, or rejects as soon as `signal` fires. @throws {MiyuError} ERR_ABORTED */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(new MiyuError("ERR_ABORTED"));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}

/** `promise`, unless the client closes or `signal` fires first. @throws {MiyuError} ERR_CLOSED, ERR_ABORTED */
export function unlessStopped<T>(context: Pick<Context, "closing">, promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  const signals = signal === undefined ? [context.closing] : [context.closing, signal];
  return new Promise<T>((resolve, reject) => {
    const stop = (): void => {
      settle();
      reject(context.closing.aborted ? new MiyuError("ERR_CLOSED", { what: "client" }) : new MiyuError("ERR_ABORTED"));
    };
    const settle = (): void => {
      for (const each of signals) each.removeEventListener("abort", stop);
    };
    for (const each of signals) each.addEventListener("abort", stop, { once: true });
    if (signals.some((each) => each.aborted)) stop();
    promise.then(
      (value) => {
        settle();
        resolve(value);
      },
      (error: unknown) => {
        settle();
        reject(error instanceof Error ? error : new MiyuError("ERR_INTERNAL", { what: "rejection without an error" }));
      },
    );
  });
}
