/** Defaults in Node: libsodium or noble, and a LevelDB in `dataDir`. Touches nothing at import. */
import type { Platform } from "../client/createClient.ts";
import { selectCrypto } from "../crypto/select.ts";
import { MiyuError } from "../errors.ts";

/** What a client on Node uses unless told otherwise. */
export const platform: Platform = {
  selectCrypto,
  async openStore({ name, dataDir }) {
    if (dataDir === undefined) throw new MiyuError("ERR_USAGE", { reason: "in Node give dataDir or store" });
    const [{ join }, { nodeStore }] = await Promise.all([import("node:path"), import("../store/node.ts")]);
    return nodeStore({ directory: join(dataDir, name) });
  },
  random: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
};
