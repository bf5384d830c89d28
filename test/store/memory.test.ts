import { memoryMedium, memoryStore } from "../../src/store/memory.ts";
import { storeContract } from "./store.contract.ts";

storeContract("memory", () => {
  const medium = memoryMedium();
  return Promise.resolve({
    open: () => Promise.resolve(memoryStore({ medium })),
    destroy: () => Promise.resolve(),
    loseDeviceKey: () => {
      medium.keys.clear();
      return Promise.resolve();
    },
  });
});
