/** Session records in the store: the main part under user and device, archived sessions and skipped keys in records of their own. */
import { wipe } from "../bytes.ts";
import { decodeSessionRecord, encodeSessionRecord } from "../protocol/records.ts";
import { secretsOf } from "../protocol/sessionState.ts";
import type { SessionParts, SessionRecord } from "../protocol/types.ts";
import type { StoreView } from "../store/types.ts";
import { RECORDS, type SessionName } from "./naming.ts";

/**
 * The sessions of that name; the main record must be named, the parts are asked for as they are needed. Good for this run of the
 * transaction's function only: its secrets are wiped as soon as that has ended.
 */
export function loadSessions(view: StoreView, session: SessionName): SessionRecord {
  const parts: SessionParts = {
    parts: (names) => {
      const keys = names.map((name) => RECORDS.sessionPart(session, name));
      view.need(...keys);
      return keys.map((key) => view.get(key));
    },
  };
  const main = view.get(RECORDS.session(session));
  try {
    const record = decodeSessionRecord(main, parts);
    wipeSoon(record);
    return record;
  } finally {
    wipe(main);
  }
}

/**
 * Stores what a step made of `before`, which is used up by this: what the step gave up is wiped once that is durable, what it made as soon as
 * the transaction's function has ended, whether this run of it counts or not. The store has its own copy.
 */
export function commitSessions(view: StoreView, session: SessionName, before: SessionRecord, after: SessionRecord, spent: readonly Uint8Array[]): void {
  wipeSoon(after);
  const encoded = encodeSessionRecord(after, before);
  const names = [...encoded.write.keys(), ...encoded.remove];
  view.need(...names.map((name) => RECORDS.sessionPart(session, name)));
  view.put(RECORDS.session(session), encoded.main);
  for (const [name, bytes] of encoded.write) view.put(RECORDS.sessionPart(session, name), bytes);
  for (const name of encoded.remove) view.remove(RECORDS.sessionPart(session, name));
  view.afterCommit(() => {
    wipe(encoded.main, ...encoded.write.values(), ...spent);
  });
}

/** A transaction's function is synchronous, so by the next microtask it has ended, thrown or is to start over, and the store has its copy. */
function wipeSoon({ current }: SessionRecord): void {
  if (current) queueMicrotask(() => { wipe(...secretsOf(current)); });
}
