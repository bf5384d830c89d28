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

const stops = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `stop` when `signal` fires, at once if it has. Returns the opposite call. However many wait, the signal gets one listener: Node warns
 * of more than ten.
 */
export function onAbort(signal: AbortSignal, stop: () => void): () => void {
  if (signal.aborted) {
    stop();
    return () => undefined;
  }
  let all = stops.get(signal);
  if (all === undefined) {
    const fresh = new Set<() => void>();
    signal.addEventListener("abort", () => { for (const each of [...fresh]) each(); }, { once: true });
    stops.set(signal, fresh);
    all = fresh;
  }
  const own = (): void => stop();
  all.add(own);
  return () => void all.delete(own);
}

/** Resolves after `ms`, or rejects as soon as `signal` fires. @throws {MiyuError} ERR_ABORTED */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      forget();
      resolve();
    }, ms);
    const forget = onAbort(signal, () => {
      clearTimeout(timer);
      reject(new MiyuError("ERR_ABORTED"));
    });
  });
}

/** `promise`, unless the client closes or `signal` fires first. @throws {MiyuError} ERR_CLOSED, ERR_ABORTED */
export function unlessStopped<T>(context: Pick<Context, "closing">, promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  const { closing } = context;
  return new Promise<T>((resolve, reject) => {
    const stop = (): void => reject(closing.aborted ? new MiyuError("ERR_CLOSED", { what: "client" }) : new MiyuError("ERR_ABORTED"));
    const forget = (signal === undefined ? [closing] : [closing, signal]).map((each) => onAbort(each, stop));
    promise.then(resolve, reject).finally(() => {
      for (const each of forget) each();
    });
  });
}
