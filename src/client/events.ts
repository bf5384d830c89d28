/**
 * Delivers events to any number of iterators, each seeing all of them, none blocking another. An event that must not be lost has a
 * `taken` hook; it is called once every iterator that was handed the event has asked for the next one (or gone, if another has asked).
 */
import { onAbort } from "./stopping.ts";
import type { ClientEvent } from "./types.ts";

/** Events kept for an iterator to come while there is none. */
const BACKLOG = 1_000;

interface Entry {
  readonly event: ClientEvent;
  readonly taken: (() => void) | undefined;
  /** Iterators that have not moved past it. */
  readonly holders: Set<object>;
  /** Whether an iterator has moved past it. */
  seen: boolean;
}

/** Where the client puts events and apps take them. */
export interface EventHub {
  push(event: ClientEvent, taken?: () => void): void;
  iterate(signal?: AbortSignal): AsyncIterableIterator<ClientEvent>;
  /** Ends every iterator, now and to come. */
  close(): void;
}

/** Makes a hub. */
export function eventHub(): EventHub {
  const iterators = new Set<EventIterator>();
  /** Events no iterator has moved past yet: what a new iterator begins with. */
  const untaken = new Set<Entry>();
  let closed = false;

  /** `seen`: the holder has moved past the event; else it went away, and the event is taken only if another one has moved past it. */
  const release = (holder: object, entry: Entry, seen: boolean): void => {
    // Closing takes nothing: what one of several iterators had not moved past comes again.
    if (closed && !seen) return;
    entry.holders.delete(holder);
    entry.seen ||= seen;
    if (entry.holders.size > 0 || !entry.seen || !untaken.delete(entry)) return;
    entry.taken?.();
  };

  return {
    push(event, taken) {
      if (closed) return;
      const entry: Entry = { event, taken, holders: new Set(iterators), seen: false };
      untaken.add(entry);
      if (untaken.size > BACKLOG && iterators.size === 0) {
        // Only events that are stored elsewhere or tell a passing state can be dropped here; stored ones come again at the next start.
        const oldest = untaken.values().next().value;
        if (oldest !== undefined) untaken.delete(oldest);
      }
      for (const iterator of iterators) iterator.offer(entry);
    },
    iterate(signal) {
      let forget = (): void => undefined;
      const iterator = new EventIterator(release, () => {
        iterators.delete(iterator);
        forget();
      });
      if (closed || signal?.aborted === true) {
        iterator.end();
        return iterator;
      }
      if (signal !== undefined) forget = onAbort(signal, () => { iterator.end(); });
      iterators.add(iterator);
      for (const entry of untaken) {
        entry.holders.add(iterator);
        iterator.offer(entry);
      }
      return iterator;
    },
    close() {
      closed = true;
      for (const iterator of [...iterators]) iterator.end();
    },
  };
}

type Release = (holder: object, entry: Entry, seen: boolean) => void;

class EventIterator implements AsyncIterableIterator<ClientEvent> {
  readonly #queue: Entry[] = [];
  readonly #waiting: ((result: IteratorResult<ClientEvent, undefined>) => void)[] = [];
  readonly #release: Release;
  readonly #detach: () => void;
  #handedOut: Entry | undefined;
  #ended = false;

  constructor(release: Release, detach: () => void) {
    this.#release = release;
    this.#detach = detach;
  }

  offer(entry: Entry): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#queue.push(entry);
    else waiting(this.#handOut(entry));
  }

  next(): Promise<IteratorResult<ClientEvent, undefined>> {
    this.#settle();
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    const entry = this.#queue.shift();
    if (entry !== undefined) return Promise.resolve(this.#handOut(entry));
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<IteratorResult<ClientEvent, undefined>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Stops. What was handed out and not moved past counts as not taken, unless `next` is still called for it. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#detach();
    const left = this.#queue.splice(0);
    for (const entry of this.#handedOut === undefined ? left : [this.#handedOut, ...left]) this.#release(this, entry, false);
    for (const waiting of this.#waiting.splice(0)) waiting({ done: true, value: undefined });
  }

  #handOut(entry: Entry): IteratorResult<ClientEvent, undefined> {
    this.#handedOut = entry;
    return { done: false, value: entry.event };
  }

  #settle(): void {
    const entry = this.#handedOut;
    this.#handedOut = undefined;
    if (entry !== undefined) this.#release(this, entry, true);
  }
}
