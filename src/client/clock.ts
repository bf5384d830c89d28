/** Whether the clock may be believed. Nothing is removed by the clock alone: a jump has to be confirmed by a second day. */
import { concat, Reader, u32be } from "../bytes.ts";
import type { Store } from "../store/types.ts";
import { RECORDS } from "./naming.ts";

const DAY = 24 * 60 * 60 * 1000;
const JUMP_DAYS = 30;

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
