/** Defaults in browsers and their workers: libsodium or noble, and IndexedDB. Touches nothing at import. */
import type { Platform } from "../client/createClient.ts";
import { selectCrypto } from "../crypto/select.ts";
import { MiyuError } from "../errors.ts";

/** What a client in a browser uses unless told otherwise. */
export const platform: Platform = {
  selectCrypto,
  async openStore({ name, dataDir }) {
    // An option that does nothing here would promise what is not done.
    if (dataDir !== undefined) throw new MiyuError("ERR_USAGE", { reason: "dataDir is for Node" });
    const { indexedDbStore } = await import("../store/indexeddb.ts");
    return indexedDbStore({ name });
  },
  random: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
};
