/**
 * npm `libsignal` behind the common interface, as a black box: through its public API, on a store that keeps JSON text.
 * Its own type declarations leave out the key functions, hence the ones here.
 */
import { createRequire } from "node:module";
import { toHex, type Bytes } from "../../../src/bytes.ts";
import type { PreKeyBundle } from "../../../src/protocol/index.ts";
import { fromHex } from "../../crypto/vectors.ts";
import { reasonOf, type Implementation, type Outcome, type Party, type WireMessage } from "./party.ts";

interface Pair {
  readonly pubKey: Buffer;
  readonly privKey: Buffer;
}

interface SessionRecord {
  serialize(): unknown;
}

interface Storage {
  loadSession(address: string): Promise<SessionRecord | null>;
  storeSession(address: string, record: SessionRecord): Promise<void>;
  isTrustedIdentity(): boolean;
  loadPreKey(id: number): Promise<Pair | undefined>;
  removePreKey(id: number): void;
  loadSignedPreKey(id: number): Pair | undefined;
  getOurRegistrationId(): number;
  getOurIdentity(): Pair;
}

interface Device {
  readonly registrationId: number;
  readonly identityKey: Buffer;
  readonly signedPreKey: { readonly keyId: number; readonly publicKey: Buffer; readonly signature: Buffer };
  readonly preKey?: { readonly keyId: number; readonly publicKey: Buffer };
}

interface Address {
  toString(): string;
}

interface Cipher {
  encrypt(plaintext: Buffer): Promise<{ readonly type: number; readonly body: Buffer }>;
  decryptPreKeyWhisperMessage(message: Buffer): Promise<Buffer>;
  decryptWhisperMessage(message: Buffer): Promise<Buffer>;
}

interface Libsignal {
  readonly keyhelper: {
    generateIdentityKeyPair(): Pair;
    generateRegistrationId(): number;
    generateSignedPreKey(identity: Pair, id: number): { readonly keyPair: Pair; readonly signature: Buffer };
    generatePreKey(id: number): { readonly keyPair: Pair };
  };
  readonly ProtocolAddress: new (name: string, device: number) => Address;
  readonly SessionRecord: { deserialize(stored: unknown): SessionRecord };
  readonly SessionBuilder: new (storage: Storage, address: Address) => { initOutgoing(device: Device): Promise<void> };
  readonly SessionCipher: new (storage: Storage, address: Address) => Cipher;
}

const require = createRequire(import.meta.url);
const libsignal = require("libsignal") as Libsignal;
const { version } = require("libsignal/package.json") as { version: string };

/** Everything a person has, as text. */
interface Stored {
  readonly registrationId: number;
  readonly identity: readonly [publicKey: string, privateKey: string];
  readonly preKeys: Map<string, readonly [publicKey: string, privateKey: string]>;
  readonly sessions: Map<string, string>;
}

const text = (pair: Pair): readonly [string, string] => [toHex(pair.pubKey), toHex(pair.privKey)];
const pair = ([publicKey, privateKey]: readonly [string, string]): Pair => ({
  pubKey: Buffer.from(publicKey, "hex"),
  privKey: Buffer.from(privateKey, "hex"),
});

function storageOf(stored: Stored): Storage {
  const load = (name: string): Pair | undefined => {
    const keys = stored.preKeys.get(name);
    return keys && pair(keys);
  };
  return {
    loadSession: async (address) => {
      const session = stored.sessions.get(address);
      return session === undefined ? null : libsignal.SessionRecord.deserialize(JSON.parse(session));
    },
    storeSession: async (address, record) => void stored.sessions.set(address, JSON.stringify(record.serialize())),
    isTrustedIdentity: () => true,
    loadPreKey: async (id) => load(`one-time ${id}`),
    removePreKey: (id) => void stored.preKeys.delete(`one-time ${id}`),
    loadSignedPreKey: (id) => load(`signed ${id}`),
    getOurRegistrationId: () => stored.registrationId,
    getOurIdentity: () => pair(stored.identity),
  };
}

/** The implementation under its package name and version. */
export const libsignalNpm: Implementation = {
  label: `libsignal (npm) ${version}`,
  create: async (name) => {
    const { keyhelper } = libsignal;
    return new LibsignalNpmParty(name, {
      registrationId: keyhelper.generateRegistrationId(),
      identity: text(keyhelper.generateIdentityKeyPair()),
      preKeys: new Map(),
      sessions: new Map(),
    });
  },
};

class LibsignalNpmParty implements Party {
  readonly identityKey: Bytes;
  #stored: Stored;
  #storage: Storage;
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
    const { keyhelper } = libsignal;
    const id = this.#nextId++;
    const signed = keyhelper.generateSignedPreKey(this.#storage.getOurIdentity(), id);
    this.#stored.preKeys.set(`signed ${id}`, text(signed.keyPair));
    const bundle: PreKeyBundle = {
      registrationId: this.#stored.registrationId,
      identityKey: this.identityKey,
      signedPreKey: { id, publicKey: new Uint8Array(signed.keyPair.pubKey), signature: new Uint8Array(signed.signature) },
    };
    if (!withOneTimePreKey) return bundle;
    const oneTime = keyhelper.generatePreKey(id + 1000);
    this.#stored.preKeys.set(`one-time ${id + 1000}`, text(oneTime.keyPair));
    return { ...bundle, oneTimePreKey: { id: id + 1000, publicKey: new Uint8Array(oneTime.keyPair.pubKey) } };
  }

  async start(peer: string, bundle: PreKeyBundle): Promise<void> {
    const { identityKey, registrationId, signedPreKey, oneTimePreKey } = bundle;
    await new libsignal.SessionBuilder(this.#storage, address(peer)).initOutgoing({
      registrationId,
      identityKey: Buffer.from(identityKey),
      signedPreKey: { keyId: signedPreKey.id, publicKey: Buffer.from(signedPreKey.publicKey), signature: Buffer.from(signedPreKey.signature) },
      ...(oneTimePreKey && { preKey: { keyId: oneTimePreKey.id, publicKey: Buffer.from(oneTimePreKey.publicKey) } }),
    });
  }

  async encrypt(peer: string, plaintext: Uint8Array): Promise<WireMessage> {
    const { type, body } = await this.#cipher(peer).encrypt(Buffer.from(plaintext));
    return { kind: type === 3 ? "preKey" : "signal", bytes: new Uint8Array(body) };
  }

  async decrypt(peer: string, message: WireMessage): Promise<Outcome> {
    const cipher = this.#cipher(peer);
    const bytes = Buffer.from(message.bytes);
    try {
      const opened = await (message.kind === "preKey" ? cipher.decryptPreKeyWhisperMessage(bytes) : cipher.decryptWhisperMessage(bytes));
      return { kind: "plaintext", plaintext: new Uint8Array(opened) };
    } catch (error) {
      return error instanceof Error && error.name === "MessageCounterError" ? { kind: "duplicate" } : { kind: "refused", reason: reasonOf(error) };
    }
  }

  restart(): void {
    this.#stored = structuredClone(this.#stored);
    this.#storage = storageOf(this.#stored);
  }

  storedSession(peer: string): string | undefined {
    return this.#stored.sessions.get(address(peer).toString());
  }

  #cipher(peer: string): Cipher {
    return new libsignal.SessionCipher(this.#storage, address(peer));
  }
}

function address(name: string): Address {
  return new libsignal.ProtocolAddress(name, 1);
}
