// Server-side rendering imports the root where there is no page: nothing may look for one, for storage, randomness or WebAssembly, at import.
import process from "node:process";

const GLOBALS = ["indexedDB", "navigator", "WebAssembly", "localStorage", "sessionStorage", "crypto", "WebSocket", "self", "window", "document", "location",
  "fetch", "Worker", "BroadcastChannel"];

for (const name of GLOBALS) {
  const value = globalThis[name];
  Object.defineProperty(globalThis, name, {
    configurable: true,
    get() {
      // Node's own loader may look; code of an installed package may not.
      if (new Error().stack?.includes("node_modules")) throw new Error(`${name} was touched at import`);
      return value;
    },
  });
}
const root = await import("miyu");
if (typeof root.createClient !== "function") throw new Error("the root does not export createClient");
process.stdout.write("imported\n");
