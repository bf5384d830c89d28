/**
 * Chooses the provider of this place: sodium where WebAssembly may be compiled, else noble. Importing this file looks at
 * nothing and loads nothing; both providers are loaded on demand.
 */
import type { Crypto } from "./types.ts";

/** `\0asm`, version 1: the smallest WebAssembly module. */
const EMPTY_MODULE = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** The fastest provider that works here; its `name` says which. Never fails for want of WebAssembly. */
export async function selectCrypto(): Promise<Crypto> {
  if (canCompile()) {
    try {
      const { sodiumCrypto } = await import("./sodium.ts");
      return await sodiumCrypto();
    } catch {
      // Compiling was allowed but loading was not: the provider below needs neither.
    }
  }
  const { nobleCrypto } = await import("./noble.ts");
  return nobleCrypto;
}

/** Whether a module may be compiled here: a content security policy can forbid it where `WebAssembly` exists. */
function canCompile(): boolean {
  try {
    return new WebAssembly.Module(Uint8Array.from(EMPTY_MODULE)) instanceof WebAssembly.Module;
  } catch {
    return false;
  }
}
