/**
 * What passes through the protocol core: steps, key pairs, sessions. State is read-only all the way down; a step returns a new one.
 */
import type { Bytes } from "../bytes.ts";

/** What a step gives back. The caller commits `state`, then hands out `output` and wipes `spent`. */
export interface Step<S, O> {
  readonly state: S;
  readonly output: O;
  /** Secrets the old state held and the new one does not. Wipe them after the commit, never before. */
  readonly spent: readonly Uint8Array[];
}

/** An X25519 key pair: public key serialized (0x05 ‖ u, 33 bytes), private key clamped (32 bytes). */
export interface KeyPair {
  readonly publicKey: Bytes;
  readonly privateKey: Bytes;
}

/**
 * Where the parts of a stored session record come from. `parts` answers in the order of `names`, undefined for what is not there.
 * It may throw to have them loaded first; whatever it throws passes through every function of this folder untouched.
 */
export interface SessionParts {
  /** The parts of these names, in their order, undefined where there is none. May throw to have them loaded first. */
  parts(names: readonly string[]): readonly (Uint8Array | undefined)[];
}

/** Where a page that is not in memory is to be had. */
export interface PageSource {
  readonly name: string;
  readonly parts: SessionParts;
}

/** One page: seeds of the counters `128 · number … 128 · number + 127`. */
export interface SkippedPage {
  readonly number: number;
  /** Seeds in it, 1 … 128. */
  readonly count: number;
  /** Version 1 ‖ bitmap 16 (bit `counter & 7` of byte `counter >>> 3`) ‖ seeds 32 each, by counter; or where these bytes are. */
  readonly content: Bytes | PageSource;
}

/** Pages of one chain by ascending number, none of them empty. */
export type SkippedKeys = readonly SkippedPage[];

/** The local side of every session. */
export interface LocalIdentity {
  readonly identityKeyPair: KeyPair;
  /** 14 bits in practice; 0 … 2³²−1 accepted. */
  readonly registrationId: number;
}

/** One direction's chain for one ratchet key. */
export interface SenderChain {
  readonly ratchetKeyPair: KeyPair;
  /** 32 bytes. */
  readonly chainKey: Bytes;
  /** Counter of the next message. */
  readonly index: number;
}

/** A chain of the other side, with the keys of messages that have not come yet. */
export interface ReceiverChain {
  /** 33 bytes. */
  readonly ratchetKey: Bytes;
  /** 32 bytes. */
  readonly chainKey: Bytes;
  /** Counter of the next message in order. */
  readonly index: number;
  readonly skipped: SkippedKeys;
}

/** What an initiator repeats, beside the session's base key, with every message until the peer has answered. */
export interface PendingPreKey {
  readonly oneTimePreKeyId?: number;
  readonly signedPreKeyId: number;
  /** Seconds since 1970. */
  readonly createdAt: number;
}

/** One Double Ratchet session. */
export interface SessionState {
  /** Message version, 3 for the classic suite. */
  readonly version: 3;
  /** 33 bytes. */
  readonly localIdentityKey: Bytes;
  /** 33 bytes. */
  readonly remoteIdentityKey: Bytes;
  /** 32 bytes. */
  readonly rootKey: Bytes;
  /** Counter of the last message of the sending chain before this one (Double Ratchet §3.1 calls it PN); 0 if there was none. */
  readonly previousCounter: number;
  readonly senderChain: SenderChain;
  /** Oldest first, at most 5. */
  readonly receiverChains: readonly ReceiverChain[];
  /** Only in a session this side initiated and the peer has not answered. */
  readonly pendingPreKey?: PendingPreKey;
  readonly remoteRegistrationId: number;
  readonly localRegistrationId: number;
  /** The initiator's base key, 33 bytes: names the session. */
  readonly baseKey: Bytes;
}

/** All sessions with one device: the current one and up to 40 archived ones, newest first. */
export interface SessionRecord {
  readonly current: SessionState | undefined;
  readonly previous: readonly ArchivedSession[];
}

/** An archived session: its name is always there, its state is loaded when it is tried. */
export interface ArchivedSession {
  /** 33 bytes. */
  readonly baseKey: Bytes;
  readonly version: 3;
  /** The state. May ask its source to load it first. @throws {MiyuError} ERR_STORE_CORRUPT if it is missing or damaged */
  load(): SessionState;
}

/** Keys of this device that a first message may name. */
export interface PreKeySource {
  /** The signed prekey's pair, or undefined if this device does not hold it (any more). */
  signedPreKey(id: number): KeyPair | undefined;
  /** The one-time prekey's pair, or undefined if it was used or never made. */
  oneTimePreKey(id: number): KeyPair | undefined;
  /** Whether a session was already made from this base key and signed prekey (kept while the signed prekey lives). */
  seenBaseKey(signedPreKeyId: number, baseKey: Uint8Array): boolean;
}

/** A long way along a chain that must be walked before a message can be tried. */
export interface ChainGap {
  /** Where the chain stands: 32 bytes and its index. */
  readonly chainKey: Bytes;
  readonly index: number;
  /** Counter of the message. */
  readonly target: number;
}

/** A chain walked in advance from `from` up to `index`, outside of any transaction. Holds secrets: wipe what is not used. */
export interface ChainAhead {
  readonly from: ChainGap;
  /** How far the walk has come; at most `from.target`. */
  readonly index: number;
  /** 32 bytes: the chain key at `index`. */
  readonly chainKey: Bytes;
  /**
   * Seeds of the counters from `from.target − 2,000` on, as earlier ones would not be kept; `seeds[i]` belongs to the counter
   * `index − seeds.length + i`.
   */
  readonly seeds: readonly Bytes[];
}

/** How much work a decryption may do before a message is authenticated. */
export interface DecryptOptions {
  /**
   * Largest number of chain steps done here; a longer way that is not in `ahead` throws a `ChainGapError`.
   * Default 25,000, the protocol's limit.
   */
  readonly maxSteps?: number;
  /** Chains walked in advance; those that do not fit are ignored. Copied, never kept. */
  readonly ahead?: readonly ChainAhead[];
}
