/** Reading the archive. */
import { MiyuError } from "../errors.ts";
import type { Store } from "../store/types.ts";
import { decodeHead, getHead, getPage, getRow, messageOf } from "./archive.ts";
import { RECORDS } from "./naming.ts";
import type { Conversation, Message } from "./types.ts";

const MAX_LIMIT = 1_000;

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
