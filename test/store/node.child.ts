/**
 * A process of its own for `node.test.ts`: writes two records per transaction, the same number in both, and tells each number once it
 * is committed. Told to hold, it opens the store and waits.
 */
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { nodeStore } from "../../src/store/node.ts";
import type { RecordKey } from "../../src/store/types.ts";
import { openVault } from "../../src/store/vault.ts";

const [directory = "", mode = ""] = process.argv.slice(2);
const keys: readonly RecordKey[] = [{ kind: "session", id: "alice/1" }, { kind: "outbox", id: "last" }];
const random = (length: number): Uint8Array<ArrayBuffer> => globalThis.crypto.getRandomValues(new Uint8Array(length));

process.send?.("started");
const vault = await openVault(nodeStore({ directory }), nobleCrypto, random);
process.send?.("open");

async function writeForever(): Promise<never> {
  for (;;) {
    const number = await vault.transact(keys, (view) => {
      const before = view.get(keys[0] as RecordKey) ?? new Uint8Array(4);
      const next = new DataView(before.buffer).getUint32(0) + 1;
      for (const key of keys) {
        const value = new Uint8Array(1500);
        new DataView(value.buffer).setUint32(0, next);
        view.put(key, value);
      }
      return next;
    });
    process.send?.(number);
  }
}

if (mode === "write") await Promise.all([writeForever(), writeForever(), writeForever()]);
else setInterval(() => undefined, 1000);
