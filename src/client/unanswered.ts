/**
 * Sessions that others began and nobody here answered: at most 5 for each device and 500 in all, so that a flood of first messages
 * cannot fill the store. A device over its 5 is refused; over 500 the oldest session gives way to the new one.
 */
import { concat, lp, Reader, utf8 } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import type { StoreView } from "../store/types.ts";
import { RECORDS, type SessionName } from "./naming.ts";

/** Most unanswered sessions of one device, and of all. */
export const MAX_UNANSWERED = { device: 5, all: 500 } as const;

function getList(view: StoreView): SessionName[] {
  const bytes = view.get(RECORDS.unanswered);
  if (bytes === undefined) return [];
  const reader = new Reader(bytes, "unanswered sessions");
  const list: SessionName[] = [];
  while (reader.left > 0) list.push(reader.text());
  return list;
}

function putList(view: StoreView, list: readonly SessionName[]): void {
  view.put(RECORDS.unanswered, concat(...list.map((session) => lp(utf8(session)))));
}

/**
 * Counts a new session that the device of `session` began; the list's record must be named. Returns the name of the sessions to be given
 * up for it, if any.
 * @throws {MiyuError} ERR_DECRYPT if the device has its 5
 */
export function countUnanswered(view: StoreView, session: SessionName): SessionName | undefined {
  const list = getList(view);
  if (list.filter((other) => other === session).length >= MAX_UNANSWERED.device) throw new MiyuError("ERR_DECRYPT");
  const dropped = list.length >= MAX_UNANSWERED.all ? list.shift() : undefined;
  putList(view, [...list, session]);
  return dropped;
}

/** Forgets the count of a device that was answered or has answered; its record must be named. Writes only if there was one. */
export function settleUnanswered(view: StoreView, session: SessionName): void {
  const list = getList(view);
  const rest = list.filter((other) => other !== session);
  if (rest.length !== list.length) putList(view, rest);
}
