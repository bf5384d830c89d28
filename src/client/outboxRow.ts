/** Rows of the outbox: which message of the archive still has to leave, to whom, and in which order. */
import { concat, lp, Reader, u64be, utf8 } from "../bytes.ts";
import type { StoreView } from "../store/types.ts";
import type { UserId } from "../transport/types.ts";
import { RECORDS } from "./naming.ts";

const VERSION = 1;

/** A row. */
export interface OutboxRow {
  /** Message id, base64url. */
  readonly id: string;
  readonly to: UserId;
  readonly sequence: number;
}

/** Writes the row of a message; its record must be named. */
export function putOutboxRow(view: StoreView, { id, to, sequence }: OutboxRow): void {
  view.put(RECORDS.outbox(id), concat(Uint8Array.of(VERSION), u64be(sequence), lp(utf8(to))));
}

/** A row from its bytes. @throws {MiyuError} ERR_DECODE, ERR_SCHEMA */
export function decodeOutboxRow(id: string, bytes: Uint8Array): OutboxRow {
  const reader = new Reader(bytes, "outbox row");
  reader.schema(VERSION);
  const sequence = reader.u64();
  const to = reader.text();
  reader.end();
  return { id, to, sequence };
}
