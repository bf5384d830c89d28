/**
 * A handle on a medium: what `memoryStore`, `indexedDbStore` and `nodeStore` return. It refuses calls after `close`, and `close`
 * waits for the calls made through this handle, not for those of others on the same medium.
 */
import { MiyuError } from "../errors.ts";
import type { KeySlot, RawStore, RawView } from "./types.ts";

/** What a medium gives to a handle: a {@link RawStore} that need not mind being closed, whose `close` runs once, last. */
export type Medium = RawStore;

/** A {@link RawStore} over `medium` that can be closed; `what` names it in ERR_CLOSED. */
export function openHandle(medium: Medium, what: string): RawStore {
  const running = new Set<Promise<unknown>>();
  let closing: Promise<void> | undefined;

  function run<T>(call: () => Promise<T>): Promise<T> {
    if (closing !== undefined) return Promise.reject(new MiyuError("ERR_CLOSED", { what }));
    const result = call();
    running.add(result);
    const forget = (): void => void running.delete(result);
    result.then(forget, forget);
    return result;
  }

  const keySlot: KeySlot = {
    get protection() {
      return medium.keySlot.protection;
    },
    wrap: (key) => run(() => medium.keySlot.wrap(key)),
    unwrap: (wrapped) => run(() => medium.keySlot.unwrap(wrapped)),
  };

  return {
    transact: <T>(keys: readonly string[], fn: (view: RawView) => T) => run(() => medium.transact(keys, fn)),
    list: (prefix) => run(() => medium.list(prefix)),
    keySlot,
    close() {
      closing ??= Promise.allSettled(running).then(() => medium.close());
      return closing;
    },
  };
}
