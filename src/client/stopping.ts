/** Stopping: what waits ends as soon as the client closes or the caller's signal fires. */
import { MiyuError } from "../errors.ts";

/** Whatever closes with its client. */
export interface Closable {
  /** Fires on `close`. */
  readonly closing: AbortSignal;
}

/** @throws {MiyuError} ERR_CLOSED, ERR_ABORTED */
export function checkOpen(context: Closable, signal?: AbortSignal): void {
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
export function unlessStopped<T>(context: Closable, promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  const { closing } = context;
  return new Promise<T>((resolve, reject) => {
    const stop = (): void => reject(closing.aborted ? new MiyuError("ERR_CLOSED", { what: "client" }) : new MiyuError("ERR_ABORTED"));
    const forget = (signal === undefined ? [closing] : [closing, signal]).map((each) => onAbort(each, stop));
    promise.then(resolve, reject).finally(() => {
      for (const each of forget) each();
    });
  });
}
