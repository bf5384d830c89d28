// Attack 19: the boolean of a verify function is ignored or inverted, so forgeries pass (Baileys PR 2067, privacyresearch curve.ts).
// Guard: every verification throws and returns nothing or the verified value (src/crypto/provider.ts `xeddsaVerify`, src/envelope,
// src/protocol). If one starts to answer with a boolean, or stops throwing, the behaviour or the scan of the public surface fails here.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import ts from "typescript";
import { utf8 } from "../../src/bytes.ts";
import { verifyBundle } from "../../src/envelope/bundle.ts";
import { acceptDeviceList, decodeDeviceList } from "../../src/envelope/deviceList.ts";
import { sign, verify } from "../../src/envelope/signing.ts";
import { verifyMac } from "../../src/protocol/messages.ts";
import { decodeSignalMessage, generateKeyPair, verifyPreKeyBundle } from "../../src/protocol/index.ts";
import { acquainted, codeOf, Device, numbered } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { PROVIDERS } from "./providers.ts";
import { flip, Villain } from "./villain.ts";

const random = seededRandom(testSeed("19 ignored verdicts"));

describe.each(PROVIDERS)("$crypto.name", ({ crypto }) => {
  test("each says yes by returning no boolean, and no by throwing", () => {
    const pair = generateKeyPair(crypto, random.bytes);
    const message = utf8("message");
    const signature = crypto.xeddsaSign(pair.privateKey, message, random.bytes(64));
    const u = pair.publicKey.subarray(1);
    const bundle = new Device(random, 1, crypto).bundle();
    const mallory = new Villain(random);
    const { publicKey } = mallory.device.local.identityKeyPair;
    const list = mallory.ownList;
    const signed = sign(crypto, random.bytes, pair.privateKey, "bundle", message);
    const [alice] = acquainted(random, crypto);
    const parsed = decodeSignalMessage(alice.encrypt(numbered(1)).message);
    const parties = { sender: pair.publicKey, receiver: publicKey };
    const checks: [string, (() => unknown) | undefined, () => unknown][] = [
      ["xeddsaVerify", () => crypto.xeddsaVerify(u, message, signature), () => crypto.xeddsaVerify(u, message, flip(signature, 5))],
      ["checkBaseKey", () => crypto.checkBaseKey(u), () => crypto.checkBaseKey(new Uint8Array(32))],
      ["verify", () => verify(crypto, pair.publicKey, "bundle", signed, message), () => verify(crypto, pair.publicKey, "device list", signed, message)],
      ["verifyPreKeyBundle", () => verifyPreKeyBundle(crypto, bundle), () => verifyPreKeyBundle(crypto, { ...bundle, identityKey: pair.publicKey })],
      ["verifyBundle", () => verifyBundle(crypto, "mallory", publicKey, mallory.bundle()), () => verifyBundle(crypto, "alice", publicKey, mallory.bundle())],
      ["decodeDeviceList", () => decodeDeviceList(crypto, list.signed), () => decodeDeviceList(crypto, flip(list.signed, 50))],
      ["acceptDeviceList", () => acceptDeviceList(crypto, undefined, list, "mallory"), () => acceptDeviceList(crypto, undefined, list, "alice")],
      ["verifyMac", undefined, () => verifyMac(crypto, parsed, random.bytes(32), parties)],
    ];
    for (const [name, yes, no] of checks) {
      if (yes) expect(typeof yes(), name).not.toBe("boolean");
      expect(codeOf(no), name).toMatch(/^ERR_(SIGNATURE|DECRYPT|DECODE|DEVICE_LIST)$/u);
    }
  });
});

test("no exported function that verifies, checks or accepts answers with a boolean", () => {
  const root = new URL("../../src/", import.meta.url);
  // The two below the gate of the providers, which turns their answer into a throw.
  const inner = new Set(["crypto/xeddsa.ts xeddsaVerify", "crypto/curve25519.ts verifyEd25519Strict"]);
  const found: string[] = [];
  let seen = 0;
  for (const path of readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"))) {
    const file = ts.createSourceFile(path, readFileSync(new URL(path, root), "utf8"), ts.ScriptTarget.Latest, true);
    for (const node of file.statements) {
      if (!ts.isFunctionDeclaration(node) || !node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) continue;
      const name = node.name?.text ?? "";
      if (!/verify|check|accept|require|authenticate/iu.test(name)) continue;
      seen++;
      const type = node.type?.getText() ?? "boolean";
      if (/\b(boolean|true|false)\b/u.test(type) && !inner.has(`${path} ${name}`)) found.push(`${path} ${name}: ${type}`);
    }
  }
  expect(seen).toBeGreaterThan(8);
  expect(found).toEqual([]);
});
