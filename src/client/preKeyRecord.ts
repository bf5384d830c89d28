/** The record of which prekeys this device has made. */
import { concat, Reader, u16be, u32be, u64be } from "../bytes.ts";
import type { StoreView } from "../store/types.ts";
import { RECORDS } from "./naming.ts";

const VERSION = 1;

/** Which prekeys exist and what was done with them. Ids count up from 1 and never come twice in one device's life. */
export interface Stock {
  readonly nextSigned: number;
  readonly nextOneTime: number;
  /** Oldest first. */
  readonly signed: readonly { readonly id: number; readonly createdAt: number }[];
  /** Days since 1970 of the last refill, and refills on it. */
  readonly refillDay: number;
  readonly refills: number;
}

const EMPTY: Stock = { nextSigned: 1, nextOneTime: 1, signed: [], refillDay: 0, refills: 0 };

/** The record, or the empty stock of a new device; it must be named. */
export function getStock(view: StoreView): Stock {
  const bytes = view.get(RECORDS.preKeyStock);
  if (bytes === undefined) return EMPTY;
  const reader = new Reader(bytes, "prekey stock");
  reader.schema(VERSION);
  const [nextSigned, nextOneTime, refillDay, refills] = [reader.u32(), reader.u32(), reader.u32(), reader.u32()];
  const signed = Array.from({ length: reader.u16() }, () => ({ id: reader.u32(), createdAt: reader.u64() }));
  reader.end();
  return { nextSigned, nextOneTime, signed, refillDay, refills };
}

/** Stores the record; it must be named. */
export function putStock(view: StoreView, stock: Stock): void {
  view.put(
    RECORDS.preKeyStock,
    concat(
      Uint8Array.of(VERSION),
      ...[stock.nextSigned, stock.nextOneTime, stock.refillDay, stock.refills].map(u32be),
      u16be(stock.signed.length),
      ...stock.signed.flatMap(({ id, createdAt }) => [u32be(id), u64be(createdAt)]),
    ),
  );
}
