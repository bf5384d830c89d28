/** Removing signed prekeys that are past their time, with the base keys remembered for them. Loaded when there is one. */
import type { Store } from "../store/types.ts";
import { RECORDS } from "./naming.ts";
import { getStock, putStock } from "./preKeyRecord.ts";

/** Removes them one by one, each in a transaction of its own. */
export async function removeSignedPreKeys(store: Store, expired: readonly { readonly id: number }[]): Promise<void> {
  const baseKeys = await store.list("baseKeys");
  for (const { id } of expired) {
    const remembered = baseKeys.filter((row) => row.id.startsWith(`${String(id)}/`)).map((row) => ({ kind: "baseKeys", id: row.id }) as const);
    await store.transact([RECORDS.preKeyStock, RECORDS.signedPreKey(id), ...remembered], (view) => {
      const stock = getStock(view);
      view.remove(RECORDS.signedPreKey(id));
      for (const key of remembered) view.remove(key);
      putStock(view, { ...stock, signed: stock.signed.filter((other) => other.id !== id) });
    });
  }
}
