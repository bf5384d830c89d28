/** Pruning the archive: what policy no longer keeps loses its plaintext. Loaded only where there is more than policy keeps. */
import type { Store } from "../store/types.ts";
import { decodeHead, getHead, getPage, getRow, PAGE_ROWS, putHead, putRow, type ConversationHead } from "./archive.ts";
import { RECORDS } from "./naming.ts";
import type { Policy } from "./types.ts";

const DAY = 24 * 60 * 60 * 1000;

/**
 * Drops the plaintext of messages older than `archiveDays` where a conversation has more than `archiveMessages`, page by page.
 * Call it only where `clockHolds`.
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
