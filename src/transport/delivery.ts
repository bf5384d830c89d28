/**
 * The two waits every transport shares: frames on their way to a subscriber, and a caller who may give up.
 * A queue hands over one frame at a time in order of arrival and keeps the rest, so a slow subscriber loses nothing.
 */
import { MiyuError } from "../errors.ts";
import type { InFrame } from "./types.ts";

/** What {@link Transport.subscribe} takes. */
export type Subscriber = (frame: InFrame) => void | Promise<void>;

/** Frames waiting for a subscriber. */
export interface DeliveryQueue {
  /** Frames not yet settled. */
  readonly size: number;
  /**
   * Queues a frame. Resolves true once every subscriber took it, false if one kept failing or the queue was closed before.
   * Never rejects.
   */
  push(frame: InFrame): Promise<boolean>;
  /** Adds a subscriber; frames queued so far come first. Returns the opposite call. */
  subscribe(on: Subscriber): () => void;
  /** Drops what is queued; a frame being delivered is not interrupted. */
  close(): void;
}

/** @param retryMs - pauses, in milliseconds, before a frame whose subscriber rejected is offered again; then it counts as failed */
export function deliveryQueue(retryMs: readonly number[] = []): DeliveryQueue {
  const subscribers = new Set<Subscriber>();
  const waiting: { readonly frame: InFrame; readonly settle: (taken: boolean) => void }[] = [];
  let running = false;
  let closed = false;

  async function offer(frame: InFrame): Promise<boolean> {
    for (let attempt = 0; ; attempt++) {
      try {
        await Promise.all([...subscribers].map(async (on) => on(frame)));
        return true;
      } catch {
        const pause = retryMs[attempt];
        if (pause === undefined || closed) return false;
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }

  async function run(): Promise<void> {
    if (running) return;
    running = true;
    // One tick later, so that a frame is never delivered before `push` or `subscribe` returned.
    await Promise.resolve();
    while (subscribers.size > 0) {
      const next = waiting[0];
      if (next === undefined) break;
      const taken = await offer(next.frame);
      if (waiting[0] === next) waiting.shift();
      next.settle(taken);
    }
    running = false;
  }

  return {
    get size() {
      return waiting.length;
    },
    push: (frame) =>
      new Promise((resolve) => {
        if (closed) {
          resolve(false);
          return;
        }
        waiting.push({ frame, settle: resolve });
        void run();
      }),
    subscribe(on) {
      const own: Subscriber = (frame) => on(frame);
      subscribers.add(own);
      void run();
      return () => {
        subscribers.delete(own);
      };
    },
    close() {
      closed = true;
      subscribers.clear();
      for (const { settle } of waiting.splice(0)) settle(false);
    },
  };
}

/** Connection state with listeners: each hears the present state at once, then every change. */
export interface StateSource {
  readonly present: "online" | "offline";
  set(next: "online" | "offline"): void;
  on(listener: (state: "online" | "offline") => void): () => void;
}

/** A {@link StateSource} that starts as `present`. */
export function stateSource(present: "online" | "offline"): StateSource {
  let state = present;
  const listeners = new Set<(state: "online" | "offline") => void>();
  return {
    get present() {
      return state;
    },
    set(next) {
      if (next === state) return;
      state = next;
      for (const listener of [...listeners]) listener(next);
    },
    on(listener) {
      const own = (next: "online" | "offline"): void => {
        listener(next);
      };
      listeners.add(own);
      listener(state);
      return () => {
        listeners.delete(own);
      };
    },
  };
}

/** `promise`, or ERR_ABORTED as soon as `signal` fires; what `promise` started goes on. @throws {MiyuError} ERR_ABORTED */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => {
      reject(new MiyuError("ERR_ABORTED"));
    };
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
    promise.catch(() => undefined);
  }
}
