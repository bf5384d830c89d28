/** The header of a new vault: made once in the life of a store, and loaded for that only. Its layout is in `vaultHeader.ts`. */
import { concat, lp, u32be, wipe, type Bytes } from "../bytes.ts";
import type { Crypto, Random } from "../crypto/types.ts";
import type { KeySlot } from "./types.ts";
import { DEVICE_SLOT, MAGIC, recordKeyContext, trailerOf, VERSION, wrapKeyOf } from "./vaultHeader.ts";

const FIRST_KID = 1;

/** Makes the header of a new vault: fresh keys, wrapped by `slot`. The keys come back through `openHeader`. */
export async function createHeader(crypto: Crypto, random: Random, slot: KeySlot): Promise<Bytes> {
  const [vaultId, storeId, vaultKey, recordKey] = [random(16), random(16), random(32), random(32)];
  const wrapKey = wrapKeyOf(crypto, vaultKey, vaultId);
  try {
    const nonce = random(24);
    const sealed = crypto.aeadSeal(wrapKey, nonce, recordKeyContext(vaultId, storeId, FIRST_KID), recordKey);
    const wrapped = await slot.wrap(vaultKey);
    const body = concat(
      ...[MAGIC, Uint8Array.of(VERSION), vaultId, storeId, u32be(FIRST_KID), u32be(0), u32be(0)],
      ...[Uint8Array.of(1), random(8), Uint8Array.of(DEVICE_SLOT), lp(Uint8Array.of(DEVICE_SLOT)), lp(wrapped)],
      ...[Uint8Array.of(1), u32be(FIRST_KID), nonce, sealed],
    );
    return concat(body, trailerOf(crypto, body));
  } finally {
    wipe(vaultKey, recordKey, wrapKey);
  }
}
