/**
 * The outbox: what still has to leave. A row is `waiting` until its message could be sealed (keys, fence, fresh list), then `ready`;
 * it goes when the server has taken the message. The bytes are in the archive row, sealed once, sent again as they are.
 * Each recipient has a lane of its own, so nobody waits for somebody else's keys.
 */
import { fromBase64url, utf8, type Bytes } from "../bytes.ts";
import { toText } from "../envelope/text.ts";
import { MiyuError } from "../errors.ts";
import type { Dest, OutFrame, Sent, Transport, UserId } from "../transport/types.ts";
import { getOwnList } from "./account.ts";
import { getRow, putRow, type ArchiveRow } from "./archive.ts";
import type { Context } from "./context.ts";
import { checkOpen, onAbort, pause } from "./stopping.ts";
import type { Gate } from "./gate.ts";
import type { KeyExchange } from "./keyExchange.ts";
import { RECORDS } from "./naming.ts";
import { decodeOutboxRow, type OutboxRow } from "./outboxRow.ts";
import { getPeer } from "./peers.ts";
import { sealDurably } from "./sealing.ts";
import type { Delivery } from "./types.ts";

/** Pauses between attempts, milliseconds: doubled from the first to the last. */
const FIRST_PAUSE = 1_000;
const LAST_PAUSE = 60_000;
const PLACEHOLDER = "🔒";
/** Only the user or another release can resolve these: the row waits, and the app is told. */
const HELD_BACK = ["ERR_IDENTITY_CHANGED", "ERR_SIGNATURE", "ERR_DEVICE_LIST", "ERR_DOWNGRADE", "ERR_ROLLBACK", "ERR_DECODE", "ERR_VERSION"] as const;
/** The message itself cannot be sealed, now or later. */
const HOPELESS = ["ERR_TOO_LARGE", "ERR_USAGE", "ERR_STORE_CORRUPT"] as const;
/** The server will not take it, now or later. */
const REFUSED = ["ERR_TRANSPORT_REJECTED", "ERR_TOO_LARGE"] as const;

/** Sends what is in the outbox. */
export interface Outbox {
  /** Looks at the rows now, of all or of one recipient: something was added, or what they waited for has come. */
  wake(to?: UserId): void;
  /** Resolves when the server has taken the message. @throws {MiyuError} ERR_TRANSPORT_REJECTED, ERR_TOO_LARGE, ERR_CLOSED */
  accepted(id: string): Promise<Sent>;
  /** Resolves when every lane has stopped, after the client is closing. */
  stopped(): Promise<void>;
}

/** What the outbox works with. */
export interface OutboxParts {
  readonly context: Context;
  readonly transport: Transport;
  readonly keys: KeyExchange;
  readonly gate: Gate;
}

/** Makes an outbox; it runs until the client closes. */
export function outbox({ context, transport, keys, gate }: OutboxParts): Outbox {
  const { account, store, events, closing } = context;
  const lanes = new Map<UserId, { again: boolean; wakeUp: () => void }>();
  const running = new Set<Promise<void>>();
  const waiters = new Map<string, { resolve: (sent: Sent) => void; reject: (error: MiyuError) => void }[]>();
  const told = new Set<string>();
  let look: { again: boolean } | undefined;

  const isClosing = (): boolean => closing.aborted;

  async function rowsOf(to?: UserId): Promise<OutboxRow[]> {
    const rows = (await store.list("outbox")).map(({ id, value }) => decodeOutboxRow(id, value));
    return rows.filter((row) => to === undefined || row.to === to).sort((a, b) => a.sequence - b.sequence);
  }

  function startLane(to: UserId): void {
    const lane = lanes.get(to);
    if (lane !== undefined) {
      lane.again = true;
      lane.wakeUp();
      return;
    }
    lanes.set(to, { again: false, wakeUp: () => undefined });
    track(runLane(to));
  }

  function track(task: Promise<void>): void {
    // What failed here is still in the store, and is looked at again at the next wake.
    const settled = task
      .catch(() => undefined)
      .finally(() => running.delete(settled));
    running.add(settled);
  }

  /** Works through the rows of one recipient in order; pauses where the first cannot go. */
  async function runLane(to: UserId): Promise<void> {
    let wait = FIRST_PAUSE;
    for (;;) {
      const lane = lanes.get(to);
      if (lane !== undefined) lane.again = false;
      let blocked = false;
      try {
        for (const row of await rowsOf(to)) await deliver(row);
      } catch {
        // Whatever it was, the row is still there: told to the app where it has to act, tried again in any case.
        blocked = true;
      }
      if (isClosing() || (!blocked && lanes.get(to)?.again !== true)) {
        // In the same turn as the look at `again`, so that no wake-up falls between.
        lanes.delete(to);
        return;
      }
      if (!blocked) {
        wait = FIRST_PAUSE;
        continue;
      }
      const woken = await sleep(to, wait * (0.5 + (context.random(1)[0] ?? 0) / 510));
      wait = woken ? FIRST_PAUSE : Math.min(LAST_PAUSE, wait * 2);
    }
  }

  /** Waits; true if something woke the lane. */
  function sleep(to: UserId, ms: number): Promise<boolean> {
    const waking = new AbortController();
    const lane = lanes.get(to);
    if (lane?.again === true) return Promise.resolve(true);
    if (lane !== undefined) lane.wakeUp = () => waking.abort();
    const forget = onAbort(closing, () => { waking.abort(); });
    return pause(ms, waking.signal)
      .then(
        () => false,
        () => true,
      )
      .finally(forget);
  }

  async function deliver(row: OutboxRow): Promise<void> {
    let sealed: Bytes | undefined;
    try {
      await gate.pass();
      sealed = await sealedBytes(row);
    } catch (error) {
      if (MiyuError.is(error) && HOPELESS.some((code) => error.code === code)) return giveUp(row, error);
      if (MiyuError.is(error) && HELD_BACK.some((code) => error.code === code)) tellOnce(row, error);
      throw error;
    }
    // Another tab has dealt with it.
    if (sealed === undefined) return answerFromArchive(row.id);
    let sent: Sent;
    try {
      sent = await transmit(row, sealed);
    } catch (error) {
      if (MiyuError.is(error) && REFUSED.some((code) => error.code === code)) return giveUp(row, error);
      throw error;
    }
    const conversation = await settle(row, "accepted");
    if (conversation !== undefined) events.push({ kind: "accepted", id: row.id, conversation, at: sent.at ?? context.now() });
    for (const { resolve } of takeWaiters(row.id)) resolve(sent);
  }

  /** The envelope of a row, sealed before or now; undefined if the row is gone. @throws {MiyuError} as `encrypt` */
  async function sealedBytes(row: OutboxRow): Promise<Bytes | undefined> {
    const keysOfRow = [RECORDS.outbox(row.id), RECORDS.archive(account.device, row.id), RECORDS.peer(row.to)];
    const kept = await store.transact(keysOfRow, (view) => {
      if (view.get(RECORDS.outbox(row.id)) === undefined) return undefined;
      // Also what is sealed already waits: it is for devices of the key that was replaced.
      if (row.to !== account.user && getPeer(view, row.to)?.pending !== undefined) throw new MiyuError("ERR_IDENTITY_CHANGED", { user: row.to });
      return getRow(view, account.device, row.id) ?? lostRow();
    });
    if (kept === undefined || kept.sealed.length > 0) return kept?.sealed;
    return sealWaiting(context, keys, row, kept);
  }

  async function transmit(row: OutboxRow, sealed: Bytes): Promise<Sent> {
    const body = transport.caps.payload === "text" ? utf8(toText(sealed)) : sealed;
    if (body.length > transport.caps.maxPayload) throw new MiyuError("ERR_TOO_LARGE", { size: body.length, limit: transport.caps.maxPayload });
    const frame: Omit<OutFrame, "dest" | "class" | "key"> = { body, placeholder: PLACEHOLDER };
    const stopping = new AbortController();
    const forget = onAbort(closing, () => { stopping.abort(); });
    try {
      const [sent] = await Promise.all((await destinations(row)).map(({ dest, suffix }) =>
        transport.send({ ...frame, dest, class: suffix === "" ? "chat" : "control", key: row.id + suffix }, { signal: stopping.signal })));
      return sent ?? {};
    } finally {
      forget();
    }
  }

  /** The recipient, and the own other devices where the transport does not copy to them. */
  async function destinations({ to }: OutboxRow): Promise<readonly { readonly dest: Dest; readonly suffix: string }[]> {
    const recipient = { dest: { kind: "user", user: to } as const, suffix: "" };
    if (transport.caps.ownCopy !== "none" || to === account.user) return [recipient];
    const own = await store.transact([RECORDS.ownList], (view) => getOwnList(view).known);
    return own.devices.length > 1 ? [recipient, { dest: { kind: "user", user: account.user }, suffix: "-own" }] : [recipient];
  }

  /** Ends a row; the conversation, or undefined if another tab did so before. */
  function settle(row: OutboxRow, delivery: Delivery): Promise<string | undefined> {
    const archiveKey = RECORDS.archive(account.device, row.id);
    return store.transact([RECORDS.outbox(row.id), archiveKey], (view) => {
      if (view.get(RECORDS.outbox(row.id)) === undefined) return undefined;
      view.remove(RECORDS.outbox(row.id));
      const kept = getRow(view, account.device, row.id);
      if (kept === undefined) return undefined;
      putRow(view, { ...kept, delivery, sealed: new Uint8Array(0), plaintext: context.keepPlaintext ? kept.plaintext : undefined });
      return kept.conversation;
    });
  }

  async function giveUp(row: OutboxRow, error: MiyuError): Promise<void> {
    const conversation = await settle(row, "failed");
    if (conversation !== undefined) events.push({ kind: "blocked", id: row.id, conversation, error });
    for (const { reject } of takeWaiters(row.id)) reject(error);
  }

  /** Settles those who wait for a message whose row is gone. */
  async function answerFromArchive(id: string): Promise<void> {
    const kept = await store.transact([RECORDS.archive(account.device, id)], (view) => getRow(view, account.device, id));
    if (kept?.delivery === "accepted") for (const { resolve } of takeWaiters(id)) resolve({});
    if (kept?.delivery === "failed") for (const { reject } of takeWaiters(id)) reject(new MiyuError("ERR_TRANSPORT_REJECTED", { reason: "refused before" }));
  }

  function tellOnce(row: OutboxRow, error: MiyuError): void {
    const mark = `${row.id}/${error.code}`;
    if (told.has(mark)) return;
    told.add(mark);
    events.push({ kind: "blocked", id: row.id, conversation: row.to, error });
  }

  function takeWaiters(id: string): { resolve: (sent: Sent) => void; reject: (error: MiyuError) => void }[] {
    const found = waiters.get(id) ?? [];
    waiters.delete(id);
    return found;
  }

  /** Starts a lane for everyone something waits for; calls made meanwhile are one more look. */
  async function wakeAll(): Promise<void> {
    if (look !== undefined) {
      look.again = true;
      return;
    }
    const own = { again: true };
    look = own;
    try {
      while (own.again && !isClosing()) {
        own.again = false;
        for (const to of new Set((await rowsOf()).map((row) => row.to))) if (!isClosing()) startLane(to);
      }
    } finally {
      look = undefined;
    }
  }

  onAbort(closing, () => {
    for (const id of [...waiters.keys()]) for (const { reject } of takeWaiters(id)) reject(new MiyuError("ERR_CLOSED", { what: "client" }));
  });

  return {
    wake(to) {
      if (isClosing()) return;
      if (to === undefined) track(wakeAll());
      else startLane(to);
    },
    async accepted(id) {
      checkOpen(context);
      const result = new Promise<Sent>((resolve, reject) => waiters.set(id, [...(waiters.get(id) ?? []), { resolve, reject }]));
      // It may be rejected while the archive is read.
      result.catch(() => undefined);
      // The row may be gone before anyone asked.
      await answerFromArchive(id);
      return result;
    },
    async stopped() {
      while (running.size > 0) await Promise.allSettled([...running]);
    },
  };
}

/** Seals a row that has been waiting; undefined if it is gone. @throws {MiyuError} as `encrypt` */
function sealWaiting(context: Context, keys: KeyExchange, { id, to }: OutboxRow, kept: ArchiveRow): Promise<Bytes | undefined> {
  const { account } = context;
  const draft = { to, id: fromBase64url(id), sentAt: kept.sentAt, plaintext: kept.plaintext ?? lostRow() };
  return sealDurably(
    context,
    keys,
    draft,
    [RECORDS.outbox(id), RECORDS.archive(account.device, id)],
    (view, seal) => {
      // Sealed once: another tab may have been here first, or even be done.
      if (view.get(RECORDS.outbox(id)) === undefined) return undefined;
      const row = getRow(view, account.device, id) ?? lostRow();
      if (row.sealed.length > 0) return row.sealed;
      const { bytes, bind } = seal();
      putRow(view, { ...row, delivery: "ready", bind, sealed: bytes });
      return bytes;
    },
    context.closing,
  );
}

function lostRow(): never {
  throw new MiyuError("ERR_STORE_CORRUPT", { what: "outbox" });
}
