/**
 * Where this library refuses what others of the family take: the closed list of docs/interop.md, one test each, with a control that
 * the honest form passes and that a lax reader would have taken the other. Both providers.
 */
import { describe, expect, test } from "vitest";
import { concat, copy, toHex } from "../../src/bytes.ts";
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { sodiumCrypto } from "../../src/crypto/sodium.ts";
import { rawPublicKey, verifyPreKeyBundle, type PreKeyBundle } from "../../src/protocol/index.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { craft, unknownGroups } from "./craft.ts";
import { addOrder, laxVerify, signUnderOrderTwo, signWithNeutralR } from "./edwards.ts";
import { libsignalNpm } from "./peers/libsignalNpm.ts";
import { miyu } from "./peers/miyu.ts";
import { quietPeers } from "./peers/quiet.ts";

quietPeers();

const random = seededRandom(testSeed("stricter on purpose"));

describe.each([{ crypto: nobleCrypto }, { crypto: await sodiumCrypto() }])("$crypto.name", ({ crypto }) => {
  const ours = miyu(crypto, random);

  /** A signed bundle, the message its signature is over, and the identity key as 32 bytes. */
  async function signedBundle() {
    const mina = await ours.create("mina");
    const bundle = await mina.publish(true);
    return { bundle, identity: mina.local.identityKeyPair, message: bundle.signedPreKey.publicKey };
  }

  const withSignature = (bundle: PreKeyBundle, signature: Uint8Array): PreKeyBundle => ({ ...bundle, signedPreKey: { ...bundle.signedPreKey, signature } });
  const refused = expect.objectContaining({ code: "ERR_SIGNATURE" }) as Error;

  test("a signature with s ≥ L", async () => {
    const { bundle, identity, message } = await signedBundle();
    const { signature } = bundle.signedPreKey;
    const u = rawPublicKey(identity.publicKey);
    expect([laxVerify(u, message, signature), laxVerify(u, message, addOrder(signature))]).toEqual([true, true]);
    expect(() => crypto.xeddsaVerify(u, message, signature)).not.toThrow();
    expect(() => verifyPreKeyBundle(crypto, bundle)).not.toThrow();
    expect(() => crypto.xeddsaVerify(u, message, addOrder(signature))).toThrow(refused);
    expect(() => verifyPreKeyBundle(crypto, withSignature(bundle, addOrder(signature)))).toThrow(refused);
  });

  test("a signature with a small-order R", async () => {
    const { bundle, identity, message } = await signedBundle();
    const u = rawPublicKey(identity.publicKey);
    const signature = signWithNeutralR(identity.privateKey, message);
    expect(laxVerify(u, message, signature)).toBe(true);
    expect(() => crypto.xeddsaVerify(u, message, signature)).toThrow(refused);
    expect(() => verifyPreKeyBundle(crypto, withSignature(bundle, signature))).toThrow(refused);
  });

  test("a signature under a small-order public key", async () => {
    const { bundle, message } = await signedBundle();
    const { publicKey, signature } = signUnderOrderTwo(message);
    expect(laxVerify(publicKey, message, signature)).toBe(true);
    expect(() => crypto.xeddsaVerify(publicKey, message, signature)).toThrow(refused);
    const forged = { ...withSignature(bundle, signature), identityKey: concat(Uint8Array.of(5), publicKey) };
    expect(() => verifyPreKeyBundle(crypto, forged)).toThrow(refused);
  });

  test("a bundle with a bad signature", async () => {
    const { bundle } = await signedBundle();
    const bad = withSignature(bundle, bundle.signedPreKey.signature.map((byte, i) => (i === 3 ? byte ^ 1 : byte)));
    const mio = await ours.create("mio");
    await expect(mio.start("mina", bad)).rejects.toMatchObject({ code: "ERR_SIGNATURE" });
    expect(mio.storedSession("mina")).toBeUndefined();
    await mio.start("mina", bundle);
    expect(mio.storedSession("mina")).toBeDefined();
    // Control: this peer starts a session with it.
    await (await libsignalNpm.create("yuri")).start("mina", bad);
  });

  test("groups nested more than 100 deep", async () => {
    const [mina, mio] = [await ours.create("mina"), await ours.create("mio")];
    await mina.start("mio", await mio.publish(true));
    const { kind, bytes } = await mina.encrypt("mio", Uint8Array.of(1));
    expect(await mio.decrypt("mina", { kind, bytes: concat(bytes, unknownGroups(101)) })).toEqual({ kind: "refused", reason: "ERR_DECODE" });
    expect(mio.storedSession("mina")).toBeUndefined();
    expect((await mio.decrypt("mina", { kind, bytes: concat(bytes, unknownGroups(100)) })).kind).toBe("plaintext");
  });

  test("a first message again after its session is gone", async () => {
    const [mina, mio] = [await ours.create("mina"), await ours.create("mio")];
    await mina.start("mio", await mio.publish(false));
    const message = await mina.encrypt("mio", Uint8Array.of(1));
    expect((await mio.decrypt("mina", message)).kind).toBe("plaintext");
    mio.loseSessions();
    expect(await mio.decrypt("mina", message)).toEqual({ kind: "duplicate" });
    expect(mio.storedSession("mina")).toBeUndefined();
    // Under another name too: the base key is remembered beside the signed prekey, whoever sends it.
    expect(await mio.decrypt("mallory", message)).toEqual({ kind: "duplicate" });
    // Control: the peer, which forgets base keys, opens it again.
    const yuri = await libsignalNpm.create("yuri");
    await mina.start("yuri", await yuri.publish(false));
    const again = await mina.encrypt("yuri", Uint8Array.of(1));
    expect([(await yuri.decrypt("mina", again)).kind, (await yuri.decrypt("mallory", again)).kind]).toEqual(["plaintext", "plaintext"]);
  });

  test("a base key that is another encoding of the same point", async () => {
    const [mina, mio] = [await ours.create("mina"), await ours.create("mio")];
    await mina.start("mio", await mio.publish(true));
    const state = mina.session("mio");
    const twin = state.baseKey.with(32, state.baseKey[32]! | 0x80);
    // Control: both encodings lead to the same secrets.
    const { privateKey } = mio.local.identityKeyPair;
    expect(toHex(crypto.x25519(privateKey, rawPublicKey(twin)))).toBe(toHex(crypto.x25519(privateKey, rawPublicKey(state.baseKey))));
    expect(await mio.decrypt("mina", craft(crypto, { ...state, baseKey: copy(twin) }))).toEqual({ kind: "refused", reason: "ERR_DECRYPT" });
    expect(mio.storedSession("mina")).toBeUndefined();
    expect((await mio.decrypt("mina", craft(crypto, state))).kind).toBe("plaintext");
  });

  test("another identity key on a known base key", async () => {
    const [mina, mio, mallory] = [await ours.create("mina"), await ours.create("mio"), await ours.create("mallory")];
    await mina.start("mio", await mio.publish(true));
    expect((await mio.decrypt("mina", await mina.encrypt("mio", Uint8Array.of(1)))).kind).toBe("plaintext");
    const next = { ...mina.session("mio") };
    const renamed = craft(crypto, next, { outerFields: (fields) => fields.map(([number, value]) => [number, number === 3 ? mallory.identityKey : value]) });
    const before = mio.storedSession("mina");
    expect(await mio.decrypt("mina", renamed)).toEqual({ kind: "refused", reason: "ERR_DECRYPT" });
    expect(mio.storedSession("mina")).toBe(before);
    expect((await mio.decrypt("mina", craft(crypto, next))).kind).toBe("plaintext");
  });

  test.each(["signedPreKey", "oneTimePreKey"] as const)("a bundle whose %s makes an all-zero agreement", async (which) => {
    const { bundle, identity } = await signedBundle();
    const zero = concat(Uint8Array.of(5), new Uint8Array(32));
    const signedPreKey = { id: 9, publicKey: zero, signature: crypto.xeddsaSign(identity.privateKey, zero, random.bytes(64)) };
    const bad = which === "signedPreKey" ? { ...bundle, signedPreKey } : { ...bundle, oneTimePreKey: { id: 9, publicKey: zero } };
    const mio = await ours.create("mio");
    await expect(mio.start("mina", bad)).rejects.toMatchObject({ code: "ERR_DECODE", detail: { what: "pre-key bundle" } });
    expect(mio.storedSession("mina")).toBeUndefined();
    await mio.start("mina", bundle);
    expect(mio.storedSession("mina")).toBeDefined();
  });

  test("a sixth receiver chain pushes out the first", async () => {
    const [mina, mio] = [await ours.create("mina"), await ours.create("mio")];
    await mina.start("mio", await mio.publish(true));
    const speak = async (from: typeof mina, to: typeof mina): Promise<void> => {
      expect((await to.decrypt(from.name, await from.encrypt(to.name, Uint8Array.of(1)))).kind).toBe("plaintext");
    };
    await speak(mina, mio);
    await speak(mio, mina);
    const [kept, gone] = [await mina.encrypt("mio", Uint8Array.of(2)), await mina.encrypt("mio", Uint8Array.of(3))];
    await speak(mina, mio);
    for (let i = 0; i < 4; i++) {
      await speak(mio, mina);
      await speak(mina, mio);
      if (i === 2) expect((await mio.decrypt("mina", kept)).kind).toBe("plaintext");
    }
    await speak(mio, mina);
    await speak(mina, mio);
    expect(await mio.decrypt("mina", gone)).toEqual({ kind: "refused", reason: "ERR_DECRYPT" });
  });

  test("a message passed over by more than 2,000 others", async () => {
    const [mina, mio] = [await ours.create("mina"), await ours.create("mio")];
    await mina.start("mio", await mio.publish(true));
    const state = mina.session("mio");
    expect((await mio.decrypt("mina", craft(crypto, state, {}, 2001))).kind).toBe("plaintext");
    expect(await mio.decrypt("mina", craft(crypto, state, {}, 0))).toEqual({ kind: "duplicate" });
    expect((await mio.decrypt("mina", craft(crypto, state, {}, 1))).kind).toBe("plaintext");
  });
});
