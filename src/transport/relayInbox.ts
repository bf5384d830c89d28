/**
 * What one device has of its mailbox at the relay: messages in order for the subscriber, and what the relay is still to be told.
 * A message is acknowledged when the subscriber's promise resolved and `ack` was called; it is settled when it was also given up.
 */
import { deliveryQueue, type Subscriber } from "./delivery.ts";
import { MAX_ACKS, type ClientFrame, type Parcel } from "./relayFrames.ts";
import type { InFrame, UserId } from "./types.ts";

/** The device's side of a mailbox. It outlives connections. */
export interface RelayInbox {
  /** Where to go on: what the next hello says. */
  readonly position: { readonly mailbox: string; readonly cursor: number };
  /** A connection begins: another mailbox id starts from 0, the same one repeats the latest acknowledgements. */
  begin(mailbox: string): void;
  /** Takes a message; one that is here already is ignored. */
  deliver(sequence: number, parcel: Parcel): void;
  /** Tells the relay now what it would be told a moment later. */
  flush(): void;
  subscribe(on: Subscriber): () => void;
  close(): void;
}

/** A mailbox id that says "I know none". */
const NO_MAILBOX = "A".repeat(22);
/** Pauses before a frame whose subscriber failed is offered again. */
const RETRY_MS = [200, 1_000, 5_000];

/** An empty inbox of `user`. `say` sends an ack frame and returns false where there is no connection. */
export function relayInbox(user: UserId, say: (frame: Extract<ClientFrame, { kind: "ack" }>) => boolean): RelayInbox {
  const queue = deliveryQueue(RETRY_MS);
  let mailbox = NO_MAILBOX;
  let received = 0;
  let settled = 0;
  /** Sequences acknowledged lately: told, but perhaps to a connection that swallowed them. */
  let lately: number[] = [];
  let untold: number[] = [];
  let soon = false;

  function flush(): void {
    if (mailbox === NO_MAILBOX) return;
    do {
      const sequences = untold.slice(0, MAX_ACKS);
      if (!say({ kind: "ack", cursor: settled, sequences })) return;
      untold = untold.slice(sequences.length);
    } while (untold.length > 0);
  }

  function flushSoon(): void {
    if (soon) return;
    soon = true;
    queueMicrotask(() => {
      soon = false;
      flush();
    });
  }

  return {
    get position() {
      return { mailbox, cursor: received };
    },
    begin(next) {
      if (next !== mailbox) {
        mailbox = next;
        [received, settled, lately, untold] = [0, 0, [], []];
      }
      untold = [...new Set([...lately, ...untold])];
      flush();
    },
    deliver(sequence, parcel) {
      if (sequence <= received) return;
      received = sequence;
      const origin = mailbox;
      const done = { taken: false, acked: false, told: false };
      const acknowledge = (): void => {
        if (!done.taken || !done.acked || done.told || mailbox !== origin) return;
        done.told = true;
        lately = [...lately, sequence].slice(-MAX_ACKS);
        untold.push(sequence);
        flushSoon();
      };
      const own = parcel.from === user;
      const frame: InFrame = {
        from: parcel.from,
        conversation: { kind: "direct", peer: own ? parcel.to : parcel.from },
        body: parcel.body,
        id: parcel.id,
        at: parcel.at,
        ...(own ? { replay: "own-device" } : {}),
        ack() {
          done.acked = true;
          acknowledge();
        },
      };
      void queue.push(frame).then((taken) => {
        done.taken = taken;
        if (mailbox === origin) settled = Math.max(settled, sequence);
        acknowledge();
        flushSoon();
      });
    },
    flush,
    subscribe: (on) => queue.subscribe(on),
    close() {
      queue.close();
    },
  };
}
