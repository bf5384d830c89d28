/**
 * This library's protocol core behind the common interface. A record lives as stored bytes between calls: every call decodes it,
 * takes one step, writes the parts that changed and wipes what was spent.
 */
import { toHex, wipe, type Bytes } from "../../../src/bytes.ts";
import type { Crypto } from "../../../src/crypto/types.ts";
import { MiyuError } from "../../../src/errors.ts";
import {
  decodeOneTimePreKey,
  decodeSessionRecord,
  decodeSessionRecordWhole,
  decodeSignedPreKey,
  decryptPreKeySignalMessage,
  decryptSignalMessage,
  EMPTY_SESSION_RECORD,
  encodeOneTimePreKey,
  encodeSessionRecord,
  encodeSessionRecordWhole,
  encodeSignedPreKey,
  encryptMessage,
  generateKeyPair,
  generateOneTimePreKeys,
  generateSignedPreKey,
  initiateSession,
  verifyPreKeyBundle,
  type LocalIdentity,
  type PreKeyBundle,
  type PreKeySource,
  type SessionRecord,
  type SessionState,
  type Step,
} from "../../../src/protocol/index.ts";
import type { SeededRandom } from "../../support/random.ts";
import type { Implementation, Outcome, Party, WireMessage } from "./party.ts";

/** Any fixed time: milliseconds since 1970. */
const NOW = 1_700_000_000_000;

/** This library on one provider of primitives, with all randomness from `random`. */
export function miyu(crypto: Crypto, random: SeededRandom): Implementation<MiyuParty> {
  return { label: `miyu with ${crypto.name}`, create: async (name) => new MiyuParty(name, crypto, random) };
}

/** A person on this library. */
export class MiyuParty implements Party {
  readonly identityKey: Bytes;
  readonly local: LocalIdentity;
  readonly #crypto: Crypto;
  readonly #random: SeededRandom;
  readonly #preKeys = new Map<string, Bytes>();
  readonly #seen = new Set<string>();
  readonly #sessions = new Map<string, Map<string, Bytes>>();
  #nextId = 1;

  constructor(
    readonly name: string,
    crypto: Crypto,
    random: SeededRandom,
  ) {
    this.#crypto = crypto;
    this.#random = random;
    this.local = { identityKeyPair: generateKeyPair(crypto, random.bytes), registrationId: 1 + random.int(0x3fff) };
    this.identityKey = this.local.identityKeyPair.publicKey;
  }

  async publish(withOneTimePreKey: boolean): Promise<PreKeyBundle> {
    const id = this.#nextId++;
    const { identityKeyPair, registrationId } = this.local;
    const signed = generateSignedPreKey(this.#crypto, this.#random.bytes, identityKeyPair, id, NOW);
    this.#preKeys.set(`signed ${id}`, encodeSignedPreKey(signed));
    const bundle: PreKeyBundle = {
      registrationId,
      identityKey: this.identityKey,
      signedPreKey: { id, publicKey: signed.keyPair.publicKey, signature: signed.signature },
    };
    if (!withOneTimePreKey) return bundle;
    const [oneTime] = generateOneTimePreKeys(this.#crypto, this.#random.bytes, id + 1000, 1);
    if (!oneTime) throw new Error("no one-time prekey");
    this.#preKeys.set(`one-time ${oneTime.id}`, encodeOneTimePreKey(oneTime));
    return { ...bundle, oneTimePreKey: { id: oneTime.id, publicKey: oneTime.keyPair.publicKey } };
  }

  async start(peer: string, bundle: PreKeyBundle): Promise<void> {
    const verified = verifyPreKeyBundle(this.#crypto, bundle);
    this.#commit(peer, (record) => initiateSession(this.#crypto, this.#random.bytes, record, this.local, verified, NOW));
  }

  async encrypt(peer: string, plaintext: Uint8Array): Promise<WireMessage> {
    const { kind, message } = this.#commit(peer, (record) => encryptMessage(this.#crypto, record, plaintext, NOW));
    return { kind, bytes: message };
  }

  async decrypt(peer: string, message: WireMessage): Promise<Outcome> {
    try {
      return { kind: "plaintext", plaintext: this.#open(peer, message) };
    } catch (error) {
      if (MiyuError.is(error, "ERR_DUPLICATE")) return { kind: "duplicate" };
      if (MiyuError.is(error)) return { kind: "refused", reason: error.code };
      throw error;
    }
  }

  /** Also takes every record through its one-piece form. */
  restart(): void {
    for (const [peer, parts] of this.#sessions) {
      const record = decodeSessionRecordWhole(encodeSessionRecordWhole(load(parts)));
      const { main, write } = encodeSessionRecord(record, EMPTY_SESSION_RECORD);
      this.#sessions.set(peer, new Map([["main", main], ...write]));
    }
  }

  storedSession(peer: string): string | undefined {
    const parts = this.#sessions.get(peer);
    return parts && [...parts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, bytes]) => `${name} ${toHex(bytes)}`).join("\n");
  }

  /** The current session with `peer`, for tests that craft messages. */
  session(peer: string): SessionState {
    const { current } = load(this.#sessions.get(peer) ?? new Map<string, Bytes>());
    if (!current) throw new Error("no session");
    return current;
  }

  /** Forgets all sessions, but not the base keys they came from. */
  loseSessions(): void {
    this.#sessions.clear();
  }

  #open(peer: string, message: WireMessage): Bytes {
    const crypto = this.#crypto;
    const random = this.#random.bytes;
    if (message.kind === "signal") return this.#commit(peer, (record) => decryptSignalMessage(crypto, random, record, message.bytes)).plaintext;
    const opened = this.#commit(peer, (record) => decryptPreKeySignalMessage(crypto, random, record, this.local, this.#source(), message.bytes));
    if (opened.established) this.#seen.add(`${opened.signedPreKeyId} ${toHex(opened.baseKey)}`);
    if (opened.oneTimePreKeyId !== undefined) this.#preKeys.delete(`one-time ${opened.oneTimePreKeyId}`);
    return opened.plaintext;
  }

  #commit<O>(peer: string, step: (record: SessionRecord) => Step<SessionRecord, O>): O {
    const parts = this.#sessions.get(peer) ?? new Map<string, Bytes>();
    const before = load(parts);
    const { state, output, spent } = step(before);
    const { main, write, remove } = encodeSessionRecord(state, before);
    for (const name of remove) parts.delete(name);
    for (const [name, bytes] of write) parts.set(name, bytes);
    parts.set("main", main);
    this.#sessions.set(peer, parts);
    wipe(...spent);
    return output;
  }

  #source(): PreKeySource {
    return {
      signedPreKey: (id) => {
        const stored = this.#preKeys.get(`signed ${id}`);
        return stored && decodeSignedPreKey(stored).keyPair;
      },
      oneTimePreKey: (id) => {
        const stored = this.#preKeys.get(`one-time ${id}`);
        return stored && decodeOneTimePreKey(stored).keyPair;
      },
      seenBaseKey: (id, baseKey) => this.#seen.has(`${id} ${toHex(baseKey)}`),
    };
  }
}

function load(parts: ReadonlyMap<string, Bytes>): SessionRecord {
  return decodeSessionRecord(parts.get("main"), { parts: (names) => names.map((name) => parts.get(name)) });
}
