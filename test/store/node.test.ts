import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeStore } from "../../src/store/node.ts";
import { storeContract } from "./store.contract.ts";

storeContract("node", async () => {
  const directory = await mkdtemp(join(tmpdir(), "miyu-store-"));
  return {
    open: () => Promise.resolve(nodeStore({ directory })),
    destroy: () => rm(directory, { recursive: true, force: true }),
    async loseDeviceKey() {
      await rm(join(directory, "device.key"), { force: true });
      await rm(join(directory, "device.key.new"), { force: true });
    },
  };
});
