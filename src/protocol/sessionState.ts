/**
 * One session's own steps (Double Ratchet §3): its birth on either side, one message out, one message in.
 * A state is never written to; the steps return a new one that shares what did not change. Which session of a record
 * a message belongs to, and what callers may learn of a failure, is `session.ts`.
 */
import { copy, type Bytes } from "../bytes.ts";
import type { Crypto, Random } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import { walkToMessage } from "./chainWalk.ts";
import { messageKeys, messageSeed, nextChainKey, rootStep, runStep, type StepSecrets } from "./doubleRatchet.ts";
import { generateKeyPair } from "./keys.ts";
import {
  CLASSIC_VERSION,
  encodePreKeySignalMessage,
  encodeSignalMessage,
  verifyMac,
  type PreKeySignalMessage,
  type SignalMessage,
} from "./messages.ts";
import type { VerifiedPreKeyBundle } from "./preKeys.ts";
import { addSkippedKeys, loadedSeeds, NO_SKIPPED_KEYS, takeSkippedKey, type ChangedKeys } from "./skippedKeys.ts";
import type { DecryptOptions, KeyPair, LocalIdentity, ReceiverChain, SessionState, SkippedKeys, Step } from "./types.ts";
import { initiatorSecrets, responderSecrets } from "./x3dh.ts";

/** Most receiver chains kept in one session. */
export const MAX_RECEIVER_CHAINS = 5;

/** Largest counter; a chain that has reached it cannot send any more. */
const MAX_COUNTER = 0xffffffff;

/**
 * A new session towards the device of `bundle`, pending until it answers.
 * @param createdAt - seconds since 1970
 * @throws {MiyuError} ERR_DECODE for a bundle whose keys lead to an all-zero agreement
 */
export function initiate(crypto: Crypto, random: Random, local: LocalIdentity, bundle: VerifiedPreKeyBundle, createdAt: number): SessionState {
  return runStep((secrets) => {
    const { identityKeyPair } = local;
    const { signedPreKey, oneTimePreKey } = bundle;
    const baseKeyPair = freshKeyPair(crypto, random, secrets);
    secrets.passing(baseKeyPair.privateKey);
    const ratchetKeyPair = freshKeyPair(crypto, random, secrets);
    try {
      const first = initiatorSecrets(crypto, secrets, {
        identityKeyPair,
        baseKeyPair,
        remoteIdentityKey: bundle.identityKey,
        remoteSignedPreKey: signedPreKey.publicKey,
        remoteOneTimePreKey: oneTimePreKey?.publicKey,
      });
      const ratchetKey = copy(signedPreKey.publicKey);
      const sending = rootStep(crypto, secrets, secrets.passing(first.rootKey), ratchetKeyPair.privateKey, ratchetKey);
      return {
        version: CLASSIC_VERSION,
        localIdentityKey: copy(identityKeyPair.publicKey),
        remoteIdentityKey: copy(bundle.identityKey),
        rootKey: sending.rootKey,
        previousCounter: 0,
        senderChain: { ratchetKeyPair, chainKey: sending.chainKey, index: 0 },
        receiverChains: [{ ratchetKey, chainKey: first.chainKey, index: 0, skipped: NO_SKIPPED_KEYS }],
        pendingPreKey: { ...(oneTimePreKey && { oneTimePreKeyId: oneTimePreKey.id }), signedPreKeyId: signedPreKey.id, createdAt },
        remoteRegistrationId: bundle.registrationId,
        localRegistrationId: local.registrationId,
        baseKey: baseKeyPair.publicKey,
      };
    } catch (error) {
      if (MiyuError.is(error, "ERR_DECRYPT")) throw new MiyuError("ERR_DECODE", { what: "pre-key bundle" });
      throw error;
    }
  });
}

/** The prekeys a first message names. */
export interface NamedPreKeys {
  readonly signedPreKeyPair: KeyPair;
  readonly oneTimePreKeyPair: KeyPair | undefined;
}

/**
 * The session a first message asks for; nothing is authenticated yet.
 * @throws {MiyuError} ERR_DECRYPT for a bad base key or an all-zero agreement
 */
export function respond(crypto: Crypto, local: LocalIdentity, preKeys: NamedPreKeys, message: PreKeySignalMessage): SessionState {
  return runStep((secrets) => {
    const { identityKeyPair } = local;
    const { baseKey, identityKey, registrationId } = message;
    const first = responderSecrets(crypto, secrets, { identityKeyPair, ...preKeys, remoteIdentityKey: identityKey, remoteBaseKey: baseKey });
    const { publicKey, privateKey } = preKeys.signedPreKeyPair;
    return {
      version: CLASSIC_VERSION,
      localIdentityKey: copy(identityKeyPair.publicKey),
      remoteIdentityKey: identityKey,
      rootKey: first.rootKey,
      previousCounter: 0,
      // The initiator takes the signed prekey for the responder's first ratchet key; nothing is ever sent on this chain.
      senderChain: {
        ratchetKeyPair: { publicKey: copy(publicKey), privateKey: secrets.keep(copy(privateKey)) },
        chainKey: first.chainKey,
        index: 0,
      },
      receiverChains: [],
      remoteRegistrationId: registrationId,
      localRegistrationId: local.registrationId,
      baseKey,
    };
  });
}

/** Every secret of a state that is in memory: for wiping one that is given up. */
export function secretsOf(state: SessionState): readonly Uint8Array[] {
  const { rootKey, senderChain, receiverChains } = state;
  return [rootKey, senderChain.chainKey, senderChain.ratchetKeyPair.privateKey, ...receiverChains.flatMap(chainSecrets)];
}

/** An encrypted message and its kind on the wire. */
export interface EncryptedMessage {
  /** `preKey` until the peer has answered, then `signal`. */
  readonly kind: "preKey" | "signal";
  /** Wire bytes. */
  readonly message: Bytes;
}

/** Encrypts one message (Double Ratchet §3.4). @throws {MiyuError} ERR_NO_SESSION if the chain has no counters left */
export function encryptWith(crypto: Crypto, state: SessionState, plaintext: Uint8Array): Step<SessionState, EncryptedMessage> {
  const { senderChain, localIdentityKey, remoteIdentityKey, pendingPreKey } = state;
  if (senderChain.index >= MAX_COUNTER) throw new MiyuError("ERR_NO_SESSION");
  return runStep((secrets) => {
    const keys = messageKeys(crypto, secrets, secrets.passing(messageSeed(crypto, senderChain.chainKey)));
    const content = {
      version: state.version,
      ratchetKey: senderChain.ratchetKeyPair.publicKey,
      counter: senderChain.index,
      previousCounter: state.previousCounter,
      ciphertext: crypto.aesCbcEncrypt(keys.cipherKey, keys.iv, plaintext),
    };
    const message = encodeSignalMessage(crypto, content, keys.macKey, { sender: localIdentityKey, receiver: remoteIdentityKey });
    const chainKey = secrets.keep(nextChainKey(crypto, senderChain.chainKey));
    return {
      state: { ...state, senderChain: { ...senderChain, chainKey, index: senderChain.index + 1 } },
      output: pendingPreKey ? { kind: "preKey", message: wrap(state, pendingPreKey, message) } : { kind: "signal", message },
      spent: [senderChain.chainKey],
    };
  });
}

function wrap(state: SessionState, pending: NonNullable<SessionState["pendingPreKey"]>, message: Uint8Array): Bytes {
  return encodePreKeySignalMessage({
    version: state.version,
    registrationId: state.localRegistrationId,
    oneTimePreKeyId: pending.oneTimePreKeyId,
    signedPreKeyId: pending.signedPreKeyId,
    baseKey: state.baseKey,
    identityKey: state.localIdentityKey,
    message,
  });
}

/**
 * Decrypts one message (Double Ratchet §3.5, with both turns of the DH ratchet taken at once on a new ratchet key) and makes
 * the session confirmed. The second turn is taken only after the MAC held, so a forgery costs one agreement and no randomness.
 * @throws {MiyuError} ERR_DUPLICATE for a counter already taken, ERR_DECRYPT for everything else
 * @throws {ChainGapError} see {@link DecryptOptions}
 */
export function decryptWith(
  crypto: Crypto,
  random: Random,
  state: SessionState,
  message: SignalMessage,
  options: DecryptOptions,
): Step<SessionState, Bytes> {
  if (message.version !== state.version) throw new MiyuError("ERR_DECRYPT");
  return runStep((secrets) => {
    const at = state.receiverChains.findIndex((chain) => crypto.equal(chain.ratchetKey, message.ratchetKey));
    const known = state.receiverChains[at];
    if (known) {
      const { chain, seed, spent } = takeMessageKey(crypto, secrets, known, message.counter, options);
      const output = openBody(crypto, secrets, state, message, seed);
      return { state: confirmed({ ...state, receiverChains: state.receiverChains.with(at, chain) }), output, spent };
    }
    const { senderChain } = state;
    const turn = rootStep(crypto, secrets, state.rootKey, senderChain.ratchetKeyPair.privateKey, message.ratchetKey);
    const fresh = { ratchetKey: message.ratchetKey, chainKey: secrets.passing(turn.chainKey), index: 0, skipped: NO_SKIPPED_KEYS };
    const { chain, seed } = takeMessageKey(crypto, secrets, fresh, message.counter, options);
    const output = openBody(crypto, secrets, state, message, seed);
    return { ...turned(crypto, random, secrets, state, secrets.passing(turn.rootKey), chain), output };
  });
}

/** A chain with one message key taken out of it. */
interface TakenMessageKey {
  readonly chain: ReceiverChain;
  readonly seed: Bytes;
  readonly spent: readonly Uint8Array[];
}

function takeMessageKey(crypto: Crypto, secrets: StepSecrets, chain: ReceiverChain, counter: number, options: DecryptOptions): TakenMessageKey {
  if (counter < chain.index) {
    const taken = takeSkippedKey(chain.skipped, counter);
    if (!taken) throw new MiyuError("ERR_DUPLICATE");
    keepPages(secrets, taken, chain.skipped);
    return { chain: { ...chain, skipped: taken.skipped }, seed: secrets.passing(taken.seed), spent: taken.spent };
  }
  const place = walkToMessage(crypto, secrets, { chainKey: chain.chainKey, index: chain.index, target: counter }, options);
  const added = addSkippedKeys(chain.skipped, counter - place.skipped.length, place.skipped);
  keepPages(secrets, added, chain.skipped);
  return {
    chain: { ...chain, chainKey: place.chainKey, index: counter + 1, skipped: added.skipped },
    seed: place.seed,
    spent: [chain.chainKey, ...added.spent],
  };
}

/** Registers the pages a step has made or loaded, so that they are wiped if it throws; those the old state holds are not touched. */
function keepPages(secrets: StepSecrets, after: ChangedKeys, before: SkippedKeys): void {
  if (after.skipped === before) return;
  const old = new Set(loadedSeeds(before));
  for (const content of [...loadedSeeds(after.skipped), ...after.spent]) if (!old.has(content)) secrets.keep(content);
}

/** MAC first, then the padding: a forgery never reaches the cipher. */
function openBody(crypto: Crypto, secrets: StepSecrets, state: SessionState, message: SignalMessage, seed: Uint8Array): Bytes {
  const keys = messageKeys(crypto, secrets, seed);
  verifyMac(crypto, message, keys.macKey, { sender: state.remoteIdentityKey, receiver: state.localIdentityKey });
  return secrets.keep(crypto.aesCbcDecrypt(keys.cipherKey, keys.iv, message.ciphertext));
}

/** The state after a DH ratchet turn: `chain` appended, a new sending chain from a fresh key pair. */
function turned(
  crypto: Crypto,
  random: Random,
  secrets: StepSecrets,
  state: SessionState,
  rootKey: Uint8Array,
  chain: ReceiverChain,
): Omit<Step<SessionState, never>, "output"> {
  const { senderChain, receiverChains } = state;
  const ratchetKeyPair = freshKeyPair(crypto, random, secrets);
  const sending = rootStep(crypto, secrets, rootKey, ratchetKeyPair.privateKey, chain.ratchetKey);
  const all = [...receiverChains, chain];
  const dropped = all.slice(0, Math.max(0, all.length - MAX_RECEIVER_CHAINS));
  return {
    state: confirmed({
      ...state,
      rootKey: sending.rootKey,
      previousCounter: Math.max(senderChain.index - 1, 0),
      senderChain: { ratchetKeyPair, chainKey: sending.chainKey, index: 0 },
      receiverChains: all.slice(dropped.length),
    }),
    spent: [state.rootKey, senderChain.chainKey, senderChain.ratchetKeyPair.privateKey, ...dropped.flatMap(chainSecrets)],
  };
}

/** The state without its pending prekey: the peer has answered, or it is archived. */
export function confirmed(state: SessionState): SessionState {
  const { pendingPreKey, ...rest } = state;
  return pendingPreKey ? rest : state;
}

function chainSecrets(chain: ReceiverChain): readonly Uint8Array[] {
  return [chain.chainKey, ...loadedSeeds(chain.skipped)];
}

function freshKeyPair(crypto: Crypto, random: Random, secrets: StepSecrets): KeyPair {
  const pair = generateKeyPair(crypto, random);
  secrets.keep(pair.privateKey);
  return pair;
}
