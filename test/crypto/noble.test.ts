import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { verifyEd25519Strict } from "../../src/crypto/curve25519.ts";
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { CCTV_ACCEPTED, providerContract } from "./provider.contract.ts";
import { fromHex, vectorFile, wycheproof } from "./vectors.ts";

providerContract("noble", () => Promise.resolve(nobleCrypto));

describe("Ed25519 as noble verifies it", () => {
  const verify = (key: string, message: Uint8Array, signature: string) =>
    verifyEd25519Strict((m) => nobleCrypto.sha512(m), fromHex(key), message, fromHex(signature));

  test("Wycheproof", () => {
    wycheproof<{ publicKey: { pk: string } }, { msg: string; sig: string }>("ed25519", 151, (t, { publicKey }) => [
      verify(publicKey.pk, fromHex(t.msg), t.sig) ? "valid" : "invalid",
      t.result,
    ]);
  });

  test("CCTV: accepts exactly the pinned cases", () => {
    const cases = vectorFile<readonly { number: number; key: string; sig: string; msg: string }[]>("cctv/ed25519/ed25519vectors.json");
    const accepted = cases.filter(({ key, sig, msg }) => verify(key, utf8(msg), sig));
    expect(accepted.map((each) => each.number)).toEqual(CCTV_ACCEPTED);
  });
});
