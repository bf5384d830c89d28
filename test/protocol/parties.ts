/**
 * Devices that talk to each other in tests. Every step is committed as an application would do it: the new record is kept,
 * then what was spent is wiped, so a buffer shared by mistake between the old and the new state breaks the next step.
 */
import { readFileSync } from "node:fs";
import { concat, toHex, u32be, wipe, type Bytes } from "../../src/bytes.ts";
import { sodiumCrypto } from "../../src/crypto/sodium.ts";
import type { Crypto } from "../../src/crypto/types.ts";
import {
  decryptPreKeySignalMessage,
  decryptSignalMessage,
  EMPTY_SESSION_RECORD,
  encodeSessionRecordWhole,
  encryptMessage,
  generateKeyPair,
  generateOneTimePreKeys,
  generateSignedPreKey,
  initiateSession,
  verifyPreKeyBundle,
  type DecryptOptions,
  type EncryptedMessage,
  type KeyPair,
  type LocalIdentity,
  type PreKeyBundle,
  type PreKeySource,
  type SessionRecord,
  type SignedPreKey,
} from "../../src/protocol/index.ts";
import type { SeededRandom } from "../support/random.ts";

/** The fast provider; the slow one runs the same arithmetic in its own contract. */
export const crypto: Crypto = await sodiumCrypto();

/** A point in time, in milliseconds. */
export const NOW = 1_700_000_000_000;

/** Counters are written big-endian into the plaintext, so a test can see which message it got. */
export const numbered = (n: number): Bytes => concat(u32be(n), new Uint8Array(n % 37));

/** A message as it came. */
export interface Received {
  readonly kind: EncryptedMessage["kind"];
  readonly message: Uint8Array;
}

/** One device with its keys and its record of the sessions with one peer. */
export class Device implements PreKeySource {
  readonly random: SeededRandom;
  readonly local: LocalIdentity;
  readonly signed: SignedPreKey;
  readonly oneTime = new Map<number, KeyPair>();
  readonly seen = new Set<string>();
  readonly #crypto: Crypto;
  record: SessionRecord = EMPTY_SESSION_RECORD;
  #nextOneTime = 1;

  constructor(random: SeededRandom, registrationId: number, provider: Crypto = crypto) {
    this.random = random;
    this.#crypto = provider;
    this.local = { identityKeyPair: generateKeyPair(provider, random.bytes), registrationId };
    this.signed = generateSignedPreKey(provider, random.bytes, this.local.identityKeyPair, 11, NOW);
  }

  signedPreKey(id: number): KeyPair | undefined {
    return id === this.signed.id ? this.signed.keyPair : undefined;
  }

  oneTimePreKey(id: number): KeyPair | undefined {
    return this.oneTime.get(id);
  }

  seenBaseKey(id: number, baseKey: Uint8Array): boolean {
    return this.seen.has(`${String(id)}/${toHex(baseKey)}`);
  }

  bundle(withOneTime = true): PreKeyBundle {
    const { id, keyPair, signature } = this.signed;
    const bundle = {
      registrationId: this.local.registrationId,
      identityKey: this.local.identityKeyPair.publicKey,
      signedPreKey: { id, publicKey: keyPair.publicKey, signature },
    };
    if (!withOneTime) return bundle;
    const [made] = generateOneTimePreKeys(this.#crypto, this.random.bytes, this.#nextOneTime++, 1);
    if (!made) throw new Error("no one-time prekey");
    this.oneTime.set(made.id, made.keyPair);
    return { ...bundle, oneTimePreKey: { id: made.id, publicKey: made.keyPair.publicKey } };
  }

  initiate(peer: Device, withOneTime = true, now = NOW): void {
    const bundle = verifyPreKeyBundle(this.#crypto, peer.bundle(withOneTime));
    this.#commit(initiateSession(this.#crypto, this.random.bytes, this.record, this.local, bundle, now));
  }

  encrypt(plaintext: Uint8Array, now = NOW): EncryptedMessage {
    return this.#commit(encryptMessage(this.#crypto, this.record, plaintext, now));
  }

  /** Decrypts and commits; a throw leaves everything as it was. */
  decrypt({ kind, message }: Received, options: DecryptOptions = {}): Bytes {
    if (kind === "signal") return this.#commit(decryptSignalMessage(this.#crypto, this.random.bytes, this.record, message, options)).plaintext;
    const step = decryptPreKeySignalMessage(this.#crypto, this.random.bytes, this.record, this.local, this, message, options);
    const { plaintext, established, oneTimePreKeyId, signedPreKeyId, baseKey } = this.#commit(step);
    if (established) this.seen.add(`${String(signedPreKeyId)}/${toHex(baseKey)}`);
    if (oneTimePreKeyId !== undefined) this.oneTime.delete(oneTimePreKeyId);
    return plaintext;
  }

  /** The record as bytes, to compare before and after. */
  snapshot(): string {
    return toHex(encodeSessionRecordWhole(this.record));
  }

  #commit<O>(step: { readonly state: SessionRecord; readonly output: O; readonly spent: readonly Uint8Array[] }): O {
    this.record = step.state;
    wipe(...step.spent);
    return step.output;
  }
}

/** Two devices, the first of which has initiated a session with the second; not a byte sent yet. */
export function pair(random: SeededRandom, withOneTime = true, provider: Crypto = crypto): readonly [alice: Device, bob: Device] {
  const alice = new Device(random, 1, provider);
  const bob = new Device(random, 2, provider);
  alice.initiate(bob, withOneTime);
  return [alice, bob];
}

/** Two devices that have both sent and received. */
export function acquainted(random: SeededRandom, provider: Crypto = crypto): readonly [alice: Device, bob: Device] {
  const [alice, bob] = pair(random, true, provider);
  bob.decrypt(alice.encrypt(numbered(0)));
  alice.decrypt(bob.encrypt(numbered(1)));
  return [alice, bob];
}

/** The code of what `run` throws; undefined if it does not. Anything but a typed error is thrown on. */
export function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof Error && error.name === "MiyuError" && "code" in error) return String(error.code);
    throw error;
  }
}

/** A section of the wire vectors (test/vectors/README.md). */
export function wireVectors<T>(section: string): T {
  const all = JSON.parse(readFileSync(new URL("../vectors/signal-wire.json", import.meta.url), "utf8")) as Record<string, T>;
  const found = all[section];
  if (found === undefined) throw new Error(`no vectors ${section}`);
  return found;
}

/** Bytes of hexadecimal text. */
export function fromHex(hex: string): Bytes {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}
