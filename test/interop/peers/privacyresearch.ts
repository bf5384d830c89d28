/**
 * `@privacyresearch/libsignal-protocol-typescript` behind the common interface, as a black box: through its public API, on a
 * store that keeps strings. One-time and signed prekeys are kept as hexadecimal.
 */
import { createRequire } from "node:module";
import {
  FingerprintGenerator,
  KeyHelper,
  SessionBuilder,
  SessionCipher,
  SignalProtocolAddress,
  type DeviceType,
  type KeyPairType,
  type StorageType,
} from "@privacyresearch/libsignal-protocol-typescript";
import { toHex } from "../../../src/bytes.ts";
import type { PreKeyBundle } from "../../../src/protocol/index.ts";
import { fromHex } from "../../crypto/vectors.ts";
import { fromBinaryString, reasonOf, toArrayBuffer, type Implementation, type Outcome, type Party, type WireMessage } from "./party.ts";

const PACKAGE = "@privacyresearch/libsignal-protocol-typescript";
const { version } = createRequire(import.meta.url)(`${PACKAGE}/package.json`) as { version: string };

const hex = (buffer: ArrayBuffer): string => toHex(new Uint8Array(buffer));
const buffer = (text: string): ArrayBuffer => toArrayBuffer(fromHex(text));

/** Everything a person has, as text. */
interface Stored {
  readonly registrationId: number;
  readonly identity: readonly [publicKey: string, privateKey: string];
  readonly preKeys: Map<string, readonly [publicKey: string, privateKey: string]>;
  readonly sessions: Map<string, string>;
}

function storageOf(stored: Stored): StorageType {
  const pair = (keys: readonly [string, string] | undefined): KeyPairType | undefined => keys && { pubKey: buffer(keys[0]), privKey: buffer(keys[1]) };
  const put = async (name: string, keys: KeyPairType): Promise<void> => void stored.preKeys.set(name, [hex(keys.pubKey), hex(keys.privKey)]);
  return {
    getIdentityKeyPair: async () => pair(stored.identity),
    getLocalRegistrationId: async () => stored.registrationId,
    isTrustedIdentity: async () => true,
    saveIdentity: async () => false,
    loadPreKey: async (id) => pair(stored.preKeys.get(`one-time ${id}`)),
    storePreKey: (id, keys) => put(`one-time ${id}`, keys),
    removePreKey: async (id) => void stored.preKeys.delete(`one-time ${id}`),
    loadSignedPreKey: async (id) => pair(stored.preKeys.get(`signed ${id}`)),
    storeSignedPreKey: (id, keys) => put(`signed ${id}`, keys),
    removeSignedPreKey: async (id) => void stored.preKeys.delete(`signed ${id}`),
    storeSession: async (address, record) => void stored.sessions.set(address, record),
    loadSession: async (address) => stored.sessions.get(address),
  };
}

/** The implementation under its package name and version. */
export const privacyresearch: Implementation = {
  label: `${PACKAGE} ${version}`,
  create: async (name) => {
    const identity = await KeyHelper.generateIdentityKeyPair();
    return new PrivacyresearchParty(name, {
      registrationId: KeyHelper.generateRegistrationId(),
      identity: [hex(identity.pubKey), hex(identity.privKey)],
      preKeys: new Map(),
      sessions: new Map(),
    });
  },
};

/** 60 digits of the peer's own fingerprint generator. It takes an identifier as a string with one character per byte. */
export function privacyresearchFingerprint(iterations: number, localId: Uint8Array, localKey: Uint8Array, remoteId: Uint8Array, remoteKey: Uint8Array): Promise<string> {
  const text = (id: Uint8Array): string => String.fromCharCode(...id);
  return new FingerprintGenerator(iterations).createFor(text(localId), toArrayBuffer(localKey), text(remoteId), toArrayBuffer(remoteKey));
}

class PrivacyresearchParty implements Party {
  readonly identityKey: Uint8Array;
  #stored: Stored;
  #storage: StorageType;
  #ciphers = new Map<string, SessionCipher>();
  #nextId = 1;

  constructor(
    readonly name: string,
    stored: Stored,
  ) {
    this.#stored = stored;
    this.#storage = storageOf(stored);
    this.identityKey = fromHex(stored.identity[0]);
  }

  async publish(withOneTimePreKey: boolean): Promise<PreKeyBundle> {
    const id = this.#nextId++;
    const identity = await this.#storage.getIdentityKeyPair();
    if (!identity) throw new Error("no identity");
    const signed = await KeyHelper.generateSignedPreKey(identity, id);
    await this.#storage.storeSignedPreKey(id, signed.keyPair);
    const bundle: PreKeyBundle = {
      registrationId: this.#stored.registrationId,
      identityKey: this.identityKey,
      signedPreKey: { id, publicKey: new Uint8Array(signed.keyPair.pubKey), signature: new Uint8Array(signed.signature) },
    };
    if (!withOneTimePreKey) return bundle;
    const oneTime = await KeyHelper.generatePreKey(id + 1000);
    await this.#storage.storePreKey(oneTime.keyId, oneTime.keyPair);
    return { ...bundle, oneTimePreKey: { id: oneTime.keyId, publicKey: new Uint8Array(oneTime.keyPair.pubKey) } };
  }

  async start(peer: string, bundle: PreKeyBundle): Promise<void> {
    const { identityKey, registrationId, signedPreKey, oneTimePreKey } = bundle;
    const device: DeviceType = {
      registrationId,
      identityKey: toArrayBuffer(identityKey),
      signedPreKey: { keyId: signedPreKey.id, publicKey: toArrayBuffer(signedPreKey.publicKey), signature: toArrayBuffer(signedPreKey.signature) },
      ...(oneTimePreKey && { preKey: { keyId: oneTimePreKey.id, publicKey: toArrayBuffer(oneTimePreKey.publicKey) } }),
    };
    await new SessionBuilder(this.#storage, address(peer)).processPreKey(device);
  }

  async encrypt(peer: string, plaintext: Uint8Array): Promise<WireMessage> {
    const { type, body } = await this.#cipher(peer).encrypt(toArrayBuffer(plaintext));
    if (body === undefined) throw new Error("no body");
    return { kind: type === 3 ? "preKey" : "signal", bytes: fromBinaryString(body) };
  }

  async decrypt(peer: string, message: WireMessage): Promise<Outcome> {
    const cipher = this.#cipher(peer);
    const bytes = toArrayBuffer(message.bytes);
    try {
      const opened = await (message.kind === "preKey" ? cipher.decryptPreKeyWhisperMessage(bytes, "binary") : cipher.decryptWhisperMessage(bytes, "binary"));
      return { kind: "plaintext", plaintext: new Uint8Array(opened) };
    } catch (error) {
      return { kind: "refused", reason: reasonOf(error) };
    }
  }

  restart(): void {
    this.#stored = structuredClone(this.#stored);
    this.#storage = storageOf(this.#stored);
    this.#ciphers = new Map();
  }

  storedSession(peer: string): string | undefined {
    return this.#stored.sessions.get(address(peer).toString());
  }

  #cipher(peer: string): SessionCipher {
    let cipher = this.#ciphers.get(peer);
    if (!cipher) this.#ciphers.set(peer, (cipher = new SessionCipher(this.#storage, address(peer))));
    return cipher;
  }
}

function address(name: string): SignalProtocolAddress {
  return new SignalProtocolAddress(name, 1);
}
