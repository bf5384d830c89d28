/** `encrypt` and `send`: a message becomes durable before anything of it leaves; the same id is the same message. */
import { equal, toBase64url, type Bytes } from "../bytes.ts";
import { encodeName } from "../envelope/fields.ts";
import { toText } from "../envelope/text.ts";
import { MAX_ENVELOPE_LENGTH } from "../envelope/envelope.ts";
import { MiyuError } from "../errors.ts";
import type { RecordKey, StoreView } from "../store/types.ts";
import type { Transport, UserId } from "../transport/types.ts";
import { addRow, getRow, nextSequence, type ArchiveRow, type Plaintext } from "./archive.ts";
import type { Context } from "./context.ts";
import { checkOpen, unlessStopped } from "./stopping.ts";
import type { Gate } from "./gate.ts";
import type { KeyExchange } from "./keyExchange.ts";
import { messageIdBytes, RECORDS } from "./naming.ts";
import type { Outbox } from "./outbox.ts";
import { putOutboxRow } from "./outboxRow.ts";
import { getPeer } from "./peers.ts";
import { contentHash, plaintextOf, sealDurably } from "./sealing.ts";
import type { Delivery, Outgoing, Sealed, Sending } from "./types.ts";

/** Options of both calls. */
export interface SendOptions {
  readonly id?: string;
  readonly signal?: AbortSignal;
}

/** @throws {MiyuError} ERR_USAGE for an empty id, one over 1,024 bytes, or one that is not well-formed Unicode */
export function checkUser(user: UserId): void {
  encodeName(user, "user");
}

/** See `Client.encrypt`. */
export async function encrypt(context: Context, keys: KeyExchange, gate: Gate, to: UserId, content: Outgoing, options: SendOptions = {}): Promise<Sealed> {
  const message = newMessage(context, to, content, options);
  const before = await findEarlier(context, message);
  if (before !== undefined) return sealedOf(message, before.sealed);
  await unlessStopped(context, gate.pass(), options.signal);
  const bytes = await sealDurably(
    context,
    keys,
    message,
    rowRecords(context, message),
    (view, seal) => {
      const earlier = sameMessage(view, context, message);
      if (earlier !== undefined) return earlier.sealed;
      const { bytes: sealed, bind } = seal();
      addOwnRow(context, view, message, { delivery: "sealed", sealed, bind, keep: context.keepPlaintext });
      return sealed;
    },
    options.signal,
  );
  return sealedOf(message, bytes);
}

/** See `Client.send`. The message is sealed by the outbox; here it only becomes durable. */
export async function send(context: Context, transport: Transport, outbox: Outbox, to: UserId, content: Outgoing, options: SendOptions = {}): Promise<Sending> {
  const message = newMessage(context, to, content, options);
  const room = Math.min(MAX_ENVELOPE_LENGTH, transport.caps.maxPayload);
  if (message.plaintext.body.length > room) throw new MiyuError("ERR_TOO_LARGE", { size: message.plaintext.body.length, limit: room });
  const named = [...rowRecords(context, message), RECORDS.outbox(message.name), RECORDS.peer(to)];
  await context.store.transact(named, (view) => {
    const earlier = sameMessage(view, context, message);
    if (earlier?.delivery === "sealed") throw new MiyuError("ERR_USAGE", { reason: "the id belongs to a message of encrypt" });
    if (earlier !== undefined) return;
    if (to !== context.account.user && getPeer(view, to)?.pending !== undefined) throw new MiyuError("ERR_IDENTITY_CHANGED", { user: to });
    const row = addOwnRow(context, view, message, { delivery: "waiting", sealed: new Uint8Array(0), bind: new Uint8Array(32), keep: true });
    putOutboxRow(view, { id: message.name, to, sequence: row.sequence });
  });
  outbox.wake(to);
  return {
    id: message.name,
    accepted() {
      const outcome = outbox.accepted(message.name);
      // An app that does not wait for the end need not handle it: it hears of it as an event.
      outcome.catch(() => undefined);
      return outcome;
    },
  };
}

/** A message on its way out. */
interface NewMessage {
  readonly to: UserId;
  readonly id: Bytes;
  /** The id as text. */
  readonly name: string;
  readonly sentAt: number;
  readonly plaintext: Plaintext;
  readonly hash: Bytes;
}

function newMessage(context: Context, to: UserId, content: Outgoing, { id, signal }: SendOptions): NewMessage {
  checkOpen(context, signal);
  checkUser(to);
  const bytes = messageIdBytes(id, context.random);
  const plaintext = plaintextOf(content);
  return { to, id: bytes, name: toBase64url(bytes), sentAt: context.now(), plaintext, hash: contentHash(context, to, plaintext) };
}

function rowRecords({ account, hints }: Context, { name, to }: NewMessage): readonly RecordKey[] {
  return [RECORDS.archive(account.device, name), RECORDS.sequence, RECORDS.conversation(to), ...(hints.get(`row/${to}`) ?? [])];
}

function findEarlier(context: Context, message: NewMessage): Promise<ArchiveRow | undefined> {
  return context.store.transact([RECORDS.archive(context.account.device, message.name)], (view) => sameMessage(view, context, message));
}

/** The row of an earlier call with this id. @throws {MiyuError} ERR_USAGE if it was another message */
function sameMessage(view: StoreView, { account }: Context, { name, hash }: NewMessage): ArchiveRow | undefined {
  const row = getRow(view, account.device, name);
  if (row !== undefined && !equal(row.contentHash, hash)) throw new MiyuError("ERR_USAGE", { reason: "the id was used for another message" });
  return row;
}

interface RowState {
  readonly delivery: Delivery;
  readonly sealed: Bytes;
  readonly bind: Bytes;
  readonly keep: boolean;
}

/** Writes the archive row of an own message. */
function addOwnRow({ account, hints }: Context, view: StoreView, message: NewMessage, { delivery, sealed, bind, keep }: RowState): ArchiveRow {
  const row: ArchiveRow = {
    id: message.name,
    user: account.user,
    device: account.device,
    conversation: message.to,
    own: true,
    sequence: nextSequence(view),
    sentAt: message.sentAt,
    receivedAt: message.sentAt,
    trust: "verified",
    delivery,
    bind,
    contentHash: message.hash,
    plaintext: keep ? message.plaintext : undefined,
    sealed,
  };
  const page = addRow(view, row);
  view.afterCommit(() => hints.set(`row/${message.to}`, [page]));
  return row;
}

function sealedOf({ name }: NewMessage, bytes: Bytes): Sealed {
  // Sent through the outbox before, and gone from it: there are no bytes to give out any more.
  if (bytes.length === 0) throw new MiyuError("ERR_USAGE", { reason: "the id belongs to a message that was sent" });
  return { id: name, body: bytes, text: toText(bytes) };
}
