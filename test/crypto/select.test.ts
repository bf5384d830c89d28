import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

/** A `WebAssembly` that fails the test if anything looks at it. */
const untouchable = () =>
  new Proxy(
    {},
    {
      get: (_, key) => {
        throw new Error(`WebAssembly.${String(key)} was touched`);
      },
    },
  );

describe("selectCrypto", () => {
  beforeEach(() => {
    vi.resetModules();
  });
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.doUnmock("libsodium-wrappers");
  });

  const select = async () => (await (await import("../../src/crypto/select.ts")).selectCrypto()).name;

  test("sodium where WebAssembly compiles", async () => {
    expect(await select()).toBe("sodium");
  });

  test("noble where there is no WebAssembly", async () => {
    vi.stubGlobal("WebAssembly", undefined);
    expect(await select()).toBe("noble");
  });

  test("noble where a policy forbids compiling", async () => {
    const { Module } = WebAssembly;
    vi.stubGlobal("WebAssembly", {
      Module: class extends Module {
        constructor() {
          throw new WebAssembly.CompileError("blocked by CSP");
          super(new Uint8Array());
        }
      },
      CompileError: Error,
    });
    expect(await select()).toBe("noble");
  });

  test("noble where libsodium does not come up", async () => {
    vi.doMock("libsodium-wrappers", () => ({ default: { ready: Promise.reject(new Error("no memory")) } }));
    expect(await select()).toBe("noble");
  });

  test("importing looks at no WebAssembly", async () => {
    vi.stubGlobal("WebAssembly", untouchable());
    for (const file of ["select", "sodium", "noble"]) await import(`../../src/crypto/${file}.ts`);
    expect(() => (WebAssembly as { Module?: unknown }).Module).toThrow("touched");
  });
});
