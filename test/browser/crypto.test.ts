/** Both crypto providers in a real page, and the choice between them. */
import { expect, test } from "vitest";
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { selectCrypto } from "../../src/crypto/select.ts";
import { sodiumCrypto } from "../../src/crypto/sodium.ts";
import { providerContract } from "../crypto/provider.contract.ts";

providerContract("noble", () => Promise.resolve(nobleCrypto));
providerContract("sodium", () => sodiumCrypto());

test("a page that may compile WebAssembly gets sodium", async () => {
  expect((await selectCrypto()).name).toBe("sodium");
});
