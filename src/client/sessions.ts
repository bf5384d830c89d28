/** Session records in the store: the main part under the device's id, archived sessions and skipped keys in records of their own. */
import { wipe } from "../bytes.ts";
import { decodeSessionRecord, encodeSessionRecord } from "../protocol/records.ts";
import type { SessionParts, SessionRecord } from "../protocol/types.ts";
import type { StoreView } from "../store/types.ts";
import type { DeviceId } from "../transport/types.ts";
import { RECORDS } from "./naming.ts";

/** The sessions with `device`; the main record must be named, the parts are asked for as they are needed. */
export function loadSessions(view: StoreView, device: DeviceId): SessionRecord {
  const parts: SessionParts = {
    parts: (names) => {
      const keys = names.map((name) => RECORDS.sessionPart(device, name));
      view.need(...keys);
      return keys.map((key) => view.get(key));
    },
  };
  return decodeSessionRecord(view.get(RECORDS.session(device)), parts);
}

/** Stores what a step made of `before`, and wipes what the step gave up once that is durable. */
export function commitSessions(view: StoreView, device: DeviceId, before: SessionRecord, after: SessionRecord, spent: readonly Uint8Array[]): void {
  const encoded = encodeSessionRecord(after, before);
  const names = [...encoded.write.keys(), ...encoded.remove];
  view.need(...names.map((name) => RECORDS.sessionPart(device, name)));
  view.put(RECORDS.session(device), encoded.main);
  for (const [name, bytes] of encoded.write) view.put(RECORDS.sessionPart(device, name), bytes);
  for (const name of encoded.remove) view.remove(RECORDS.sessionPart(device, name));
  view.afterCommit(() => {
    wipe(encoded.main, ...encoded.write.values(), ...spent);
  });
}
