import libsodium from "libsodium-wrappers";
import sumo from "libsodium-wrappers-sumo";
import { afterEach, describe, expect, test, vi } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { sodiumCrypto } from "../../src/crypto/sodium.ts";
import { CCTV_ACCEPTED, providerContract } from "./provider.contract.ts";
import { fromHex, vectorFile, wycheproof } from "./vectors.ts";

providerContract("sodium", () => sodiumCrypto());
providerContract("sodium (sumo)", () => sodiumCrypto(sumo));

describe.each([
  ["standard", libsodium],
  ["sumo", sumo],
])("Ed25519 as libsodium verifies it, %s build", (_, sodium) => {
  const verify = (key: string, message: Uint8Array, signature: string) =>
    signature.length === 128 && sodium.crypto_sign_verify_detached(fromHex(signature), message, fromHex(key));

  test("Wycheproof", async () => {
    await sodium.ready;
    wycheproof<{ publicKey: { pk: string } }, { msg: string; sig: string }>("ed25519", 151, (t, { publicKey }) => [
      verify(publicKey.pk, fromHex(t.msg), t.sig) ? "valid" : "invalid",
      t.result,
    ]);
  });

  test("CCTV: accepts exactly the pinned cases", async () => {
    await sodium.ready;
    const cases = vectorFile<readonly { number: number; key: string; sig: string; msg: string }[]>("cctv/ed25519/ed25519vectors.json");
    const accepted = cases.filter(({ key, sig, msg }) => verify(key, utf8(msg), sig));
    expect(accepted.map((each) => each.number)).toEqual(CCTV_ACCEPTED);
  });
});

describe("sodiumCrypto", () => {
  afterEach(() => {
    vi.doUnmock("libsodium-wrappers");
    vi.resetModules();
  });

  test("names the build it was given", async () => {
    expect((await sodiumCrypto()).name).toBe("sodium");
    expect((await sodiumCrypto(libsodium)).name).toBe("sodium");
    expect((await sodiumCrypto(sumo)).name).toBe("sodium (sumo)");
  });

  test("a library that does not come up is ERR_USAGE, without its error", async () => {
    const broken = { ...libsodium, ready: Promise.reject(new Error("CompileError: blocked by policy")) };
    const error: unknown = await sodiumCrypto(broken).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ name: "MiyuError", code: "ERR_USAGE", detail: { reason: "libsodium cannot be loaded here" } });
    expect(error).not.toHaveProperty("cause");
  });

  test("loads libsodium-wrappers only when it was given no other", async () => {
    const loaded = vi.fn(() => ({ default: libsodium }));
    vi.resetModules();
    vi.doMock("libsodium-wrappers", loaded);
    const fresh = await import("../../src/crypto/sodium.ts");
    await fresh.sodiumCrypto(sumo);
    expect(loaded).not.toHaveBeenCalled();
    await fresh.sodiumCrypto();
    expect(loaded).toHaveBeenCalledOnce();
  });
});
