/** Reading the archive, and pruning what policy no longer keeps. Nothing is pruned by the clock alone: a jump has to be confirmed by a second day. */
import { concat, Reader, u32be } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import type { Store } from "../store/types.ts";
import { decodeHead, getHead, getPage, getRow, messageOf, PAGE_ROWS, putHead, putRow, type ConversationHead } from "./archive.ts";
import { RECORDS } from "./naming.ts";
import type { Conversation, Message, Policy } from "./types.ts";

const DAY = 24 * 60 * 60 * 1000;
const MAX_LIMIT = 1_000;
const JUMP_DAYS = 30;

/** Messages before `before` (or the newest), oldest first. @throws {MiyuError} ERR_USAGE */
export async function readHistory(
  store: Store,
  query: { readonly conversation: string; readonly before?: string; readonly limit?: number },
): Promise<readonly Message[]> {
  const { conversation, before, limit = 50 } = query;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) throw new MiyuError("ERR_USAGE", { reason: "limit must be 1 to 1,000" });
  const head = await store.transact([RECORDS.conversation(conversation)], (view) => getHead(view, conversation));
  if (head === undefined) return [];
  const found: Message[] = [];
  let reached = before === undefined;
  for (let page = head.lastPage; page >= head.firstPage && found.length < limit; page--) {
    const messages = await readPage(store, conversation, page);
    for (const message of messages.reverse()) {
      if (reached && found.length < limit) found.push(message);
      reached ||= message.id === before;
    }
  }
  return found.reverse();
}

/** All conversations, newest first. */
export async function listConversations(store: Store): Promise<readonly Conversation[]> {
  const heads = await store.list("conversation");
  return heads
    .map(({ id, value }) => ({ id, head: decodeHead(value) }))
    .map(({ id, head }) => ({ id, messages: head.total, updatedAt: head.updatedAt }))
    .sort((a, b) => b.updatedAt - a.updatedAt);
}

async function readPage(store: Store, conversation: string, page: number): Promise<Message[]> {
  return store.transact([RECORDS.historyPage(conversation, page)], (view) => {
    const entries = getPage(view, conversation, page);
    view.need(...entries.map(({ device, id }) => RECORDS.archive(device, id)));
    return entries.flatMap(({ device, id }) => {
      const row = getRow(view, device, id);
      const message = row === undefined ? undefined : messageOf(row);
      return message === undefined ? [] : [message];
    });
  });
}

/**
 * Drops the plaintext of messages older than `archiveDays` where a conversation has more than `archiveMessages`, page by page.
 * Call it only where {@link clockHolds}.
 */
export async function pruneArchive(store: Store, policy: Policy, now: number): Promise<void> {
  const conversations = await store.list("conversation");
  for (const { id, value } of conversations) {
    let head: ConversationHead | undefined = decodeHead(value);
    while (head !== undefined && head.firstPage < head.lastPage && head.total - PAGE_ROWS >= policy.archiveMessages) {
      head = await pruneFirstPage(store, id, head.firstPage, now - policy.archiveDays * DAY);
    }
  }
}

/** Prunes one page if all of it is old; the head afterwards, or undefined if nothing was to be done. */
function pruneFirstPage(store: Store, conversation: string, page: number, horizon: number): Promise<ConversationHead | undefined> {
  return store.transact([RECORDS.conversation(conversation), RECORDS.historyPage(conversation, page)], (view) => {
    const head = getHead(view, conversation);
    if (head?.firstPage !== page || head.lastPage === page) return undefined;
    const entries = getPage(view, conversation, page);
    view.need(...entries.map(({ device, id }) => RECORDS.archive(device, id)));
    const rows = entries.flatMap(({ device, id }) => getRow(view, device, id) ?? []);
    if (rows.some((row) => row.receivedAt >= horizon || row.delivery === "waiting" || row.delivery === "ready")) return undefined;
    for (const row of rows) putRow(view, { ...row, plaintext: undefined, sealed: new Uint8Array(0) });
    view.remove(RECORDS.historyPage(conversation, page));
    const after = { ...head, firstPage: page + 1, total: head.total - entries.length };
    putHead(view, conversation, after);
    return after;
  });
}

/** Whether anything may be removed because of its age: the clock did not jump by more than 30 days since the last run, or a later day has confirmed the jump. */
export function clockHolds(store: Store, now: number): Promise<boolean> {
  const today = Math.floor(now / DAY);
  return store.transact([RECORDS.clock], (view) => {
    const bytes = view.get(RECORDS.clock);
    const reader = bytes && new Reader(bytes, "clock");
    const last = reader?.u32() ?? today;
    const jumpSeen = reader?.u32() ?? 0;
    const jumped = Math.abs(today - last) > JUMP_DAYS;
    const confirmed = jumped && jumpSeen !== 0 && today > jumpSeen && today - jumpSeen <= JUMP_DAYS;
    if (jumped && !confirmed) {
      // The first day of a jump is remembered; only another day near it makes the clock believable again.
      if (jumpSeen === 0 || Math.abs(today - jumpSeen) > JUMP_DAYS) view.put(RECORDS.clock, concat(u32be(last), u32be(today)));
      return false;
    }
    if (bytes === undefined || last !== today || jumpSeen !== 0) view.put(RECORDS.clock, concat(u32be(today), u32be(0)));
    return true;
  });
}
