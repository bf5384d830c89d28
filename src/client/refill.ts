/** Refilling the one-time prekeys of the directory: at most 4 times a day, then the app is told. Loaded when the stock is low. */
import { wipe } from "../bytes.ts";
import { encodeStockedPreKey } from "../envelope/bundle.ts";
import { encodeOneTimePreKey, generateOneTimePreKeys } from "../protocol/preKeys.ts";
import type { Directory } from "../transport/types.ts";
import type { Context } from "./context.ts";
import { RECORDS } from "./naming.ts";
import { getStock, putStock } from "./preKeyRecord.ts";

const DAY = 24 * 60 * 60 * 1000;
/** One-time prekeys in a full stock. */
const FULL_STOCK = 100;
const REFILLS_PER_DAY = 4;

/** Makes, stores and stocks what is missing, private keys first. @throws {MiyuError} ERR_TRANSPORT_UNAVAILABLE and the store's */
export async function refill(context: Context, directory: Directory, inStock: number): Promise<void> {
  const { account, crypto, random, store } = context;
  const today = Math.floor(context.now() / DAY);
  const stocked = await store.transact([RECORDS.preKeyStock], (view) => {
    const stock = getStock(view);
    const refills = stock.refillDay === today ? stock.refills : 0;
    if (refills >= REFILLS_PER_DAY) return undefined;
    const count = FULL_STOCK - inStock;
    view.need(...Array.from({ length: count }, (_, i) => RECORDS.preKey(stock.nextOneTime + i)));
    const keys = generateOneTimePreKeys(crypto, random, stock.nextOneTime, count);
    for (const key of keys) view.put(RECORDS.preKey(key.id), encodeOneTimePreKey(key));
    putStock(view, { ...stock, nextOneTime: stock.nextOneTime + keys.length, refillDay: today, refills: refills + 1 });
    const publicKeys = keys.map(({ id, keyPair }) => encodeStockedPreKey({ id, publicKey: keyPair.publicKey }));
    view.afterCommit(() => {
      for (const { keyPair } of keys) wipe(keyPair.privateKey);
    });
    return publicKeys;
  });
  if (stocked === undefined) {
    context.events.push({ kind: "prekeys", id: `prekeys/refill/${String(today)}`, reason: "refill-limit", user: account.user });
    return;
  }
  await directory.stock?.(account.device, stocked);
}
