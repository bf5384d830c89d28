/**
 * Sessions with one device: starting, encrypting, finding the session of a message, promotion and archiving
 * (docs/interop.md; Sesame §3 for one device). A record is never written to. A step that throws changed nothing, and a message that
 * does not decrypt says ERR_DECRYPT and no more, whichever session or check refused it.
 */
import { copy, equal, wipe, type Bytes } from "../bytes.ts";
import type { Crypto, Random } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import { CLASSIC_VERSION, decodePreKeySignalMessage, decodeSignalMessage, type PreKeySignalMessage } from "./messages.ts";
import { requireVerified, type VerifiedPreKeyBundle } from "./preKeys.ts";
import { confirmed, decryptWith, encryptWith, initiate, respond, secretsOf, type EncryptedMessage } from "./sessionState.ts";
import type { ArchivedSession, DecryptOptions, LocalIdentity, PreKeySource, SessionRecord, SessionState, Step } from "./types.ts";

/** Most archived sessions kept with one device. */
export const MAX_ARCHIVED_SESSIONS = 40;

/** How long a session may wait for the peer's first answer: 30 days, in milliseconds. */
export const MAX_PENDING_AGE = 30 * 24 * 60 * 60 * 1000;

/** A device with which there never was a session. */
export const EMPTY_SESSION_RECORD: SessionRecord = { current: undefined, previous: [] };

/** Public facts about the session that is used for sending. */
export interface SessionDescription {
  /** Message version: 3 for the classic suite. */
  readonly version: 3;
  /** Whether the peer has answered. Until then every message carries the prekey fields, and the peer may not have them. */
  readonly confirmed: boolean;
  /** When an unanswered session was started, milliseconds since 1970, whole seconds. */
  readonly pendingSince?: number;
  /** 33 bytes, a copy. */
  readonly remoteIdentityKey: Bytes;
  /** 33 bytes, a copy. */
  readonly localIdentityKey: Bytes;
  readonly remoteRegistrationId: number;
  /** 33 bytes, a copy: names the session, the same on both sides. */
  readonly baseKey: Bytes;
}

/** What a message of a running session held. */
export interface DecryptedMessage {
  readonly plaintext: Bytes;
  /** The identity key the message was authenticated with, 33 bytes. Whether it is trusted is for the caller, before it commits. */
  readonly remoteIdentityKey: Bytes;
}

/** What a first message held. */
export interface DecryptedPreKeyMessage extends DecryptedMessage {
  /** The sender's registration id, which nothing authenticates. */
  readonly registrationId: number;
  /** 33 bytes. */
  readonly baseKey: Bytes;
  readonly signedPreKeyId: number;
  /** The one-time prekey this message used up: remove it in the same commit. Only if `established`. */
  readonly oneTimePreKeyId?: number;
  /** Whether the message made a new session: then remember `baseKey` beside the signed prekey, in the same commit. */
  readonly established: boolean;
}

/**
 * Starts a session towards the device of `bundle` and makes it current (X3DH §3.3). An older current session is archived.
 * @param now - milliseconds since 1970
 * @throws {MiyuError} ERR_DECODE if a key of the bundle leads to an all-zero agreement, ERR_USAGE for a bundle that was not verified
 */
export function initiateSession(
  crypto: Crypto,
  random: Random,
  record: SessionRecord,
  local: LocalIdentity,
  bundle: VerifiedPreKeyBundle,
  now: number,
): Step<SessionRecord, undefined> {
  requireVerified(bundle);
  const archived = archive(record);
  const current = initiate(crypto, random, local, bundle, Math.floor(now / 1000));
  return { state: { current, previous: archived.previous }, output: undefined, spent: archived.spent };
}

/**
 * Encrypts with the current session. Commit the state before the message leaves: a key used twice opens both messages.
 * @param now - milliseconds since 1970
 * @throws {MiyuError} ERR_NO_SESSION if there is none, or one that the peer has not answered for more than 30 days
 */
export function encryptMessage(
  crypto: Crypto,
  record: SessionRecord,
  plaintext: Uint8Array,
  now: number,
): Step<SessionRecord, EncryptedMessage> {
  const { current } = record;
  if (!current || isStale(current, now)) throw new MiyuError("ERR_NO_SESSION");
  const { state, output, spent } = encryptWith(crypto, current, plaintext);
  return { state: { current: state, previous: record.previous }, output, spent };
}

/**
 * Decrypts a SignalMessage with the current session or, after it, with the archived ones, newest first; the session it belongs
 * to becomes current. A damaged archived session is passed over.
 * @throws {MiyuError} ERR_DECODE, ERR_VERSION if it does not parse; ERR_NO_SESSION for an empty record; ERR_DUPLICATE as soon as one
 * session has taken this counter; ERR_DECRYPT for everything else
 * @throws {ChainGapError} see {@link DecryptOptions}
 */
export function decryptSignalMessage(
  crypto: Crypto,
  random: Random,
  record: SessionRecord,
  message: Uint8Array,
  options: DecryptOptions = {},
): Step<SessionRecord, DecryptedMessage> {
  const parsed = decodeSignalMessage(message);
  const { current, previous } = record;
  if (!current && previous.length === 0) throw new MiyuError("ERR_NO_SESSION");
  const attempt = (state: SessionState): Step<SessionState, Bytes> | undefined => {
    try {
      return decryptWith(crypto, random, state, parsed, options);
    } catch (error) {
      if (MiyuError.is(error, "ERR_DECRYPT")) return undefined;
      throw error;
    }
  };
  const own = current && attempt(current);
  if (own) return { state: { current: own.state, previous }, output: describePlaintext(own), spent: own.spent };
  for (const entry of previous) {
    const archived = entry.version === parsed.version ? loadUndamaged(entry) : undefined;
    const opened = archived && attempt(archived);
    if (!opened) continue;
    const rest = archive({ current, previous: previous.filter((other) => other !== entry) });
    const state = { current: opened.state, previous: rest.previous };
    return { state, output: describePlaintext(opened), spent: [...opened.spent, ...rest.spent] };
  }
  throw new MiyuError("ERR_DECRYPT");
}

/**
 * Decrypts a PreKeySignalMessage: with the session of its base key if there is one (its prekey ids are then ignored), else with a
 * new one (X3DH §3.4), which becomes current only if the message inside decrypts.
 * @throws {MiyuError} ERR_DECODE, ERR_VERSION if it does not parse or is of a version no session here has; ERR_DUPLICATE for a
 * repeated message or base key; ERR_NO_PREKEY with the id this device does not hold; ERR_DECRYPT for everything else, another
 * identity key on a known base key included; ERR_STORE_CORRUPT if the session it asks for is damaged
 * @throws {ChainGapError} see {@link DecryptOptions}
 */
export function decryptPreKeySignalMessage(
  crypto: Crypto,
  random: Random,
  record: SessionRecord,
  local: LocalIdentity,
  preKeys: PreKeySource,
  message: Uint8Array,
  options: DecryptOptions = {},
): Step<SessionRecord, DecryptedPreKeyMessage> {
  const parsed = decodePreKeySignalMessage(message);
  const found = findSession(record, parsed);
  if (found && !crypto.equal(found.state.remoteIdentityKey, parsed.identityKey)) throw new MiyuError("ERR_DECRYPT");
  // Before anything is derived, because it may ask for the session it gives up to be loaded.
  const rest = found?.rest ?? archive(record);
  const { state: session, oneTimePreKeyId }: OpeningSession = found ?? establish(crypto, local, preKeys, parsed);
  let opened: Step<SessionState, Bytes>;
  try {
    opened = decryptWith(crypto, random, session, parsed.message, options);
  } catch (error) {
    if (!found) wipe(...secretsOf(session));
    throw error;
  }
  // The state a new session was born with is never committed, so what the first message left behind goes at once.
  if (!found) wipe(...opened.spent);
  return {
    state: { current: opened.state, previous: rest.previous },
    output: {
      ...describePlaintext(opened),
      registrationId: parsed.registrationId,
      baseKey: copy(parsed.baseKey),
      signedPreKeyId: parsed.signedPreKeyId,
      ...(oneTimePreKeyId !== undefined && { oneTimePreKeyId }),
      established: !found,
    },
    spent: found ? [...opened.spent, ...rest.spent] : rest.spent,
  };
}

/** Puts the current session with the archived ones: it can still decrypt, nothing can be sent before a new one is started. */
export function archiveCurrentSession(record: SessionRecord): Step<SessionRecord, undefined> {
  const { previous, spent } = archive(record);
  return { state: { current: undefined, previous }, output: undefined, spent };
}

/** Whether {@link encryptMessage} would find a session. @param now - milliseconds since 1970 */
export function hasUsableSession(record: SessionRecord, now: number): boolean {
  return record.current !== undefined && !isStale(record.current, now);
}

/** Public facts about the current session, or undefined if there is none. */
export function describeSession(record: SessionRecord): SessionDescription | undefined {
  const { current } = record;
  if (!current) return undefined;
  const { version, pendingPreKey, remoteIdentityKey, localIdentityKey, remoteRegistrationId, baseKey } = current;
  return {
    version,
    confirmed: !pendingPreKey,
    ...(pendingPreKey && { pendingSince: pendingPreKey.createdAt * 1000 }),
    remoteIdentityKey: copy(remoteIdentityKey),
    localIdentityKey: copy(localIdentityKey),
    remoteRegistrationId,
    baseKey: copy(baseKey),
  };
}

/** The archived sessions after the current one has joined them. */
interface Archive {
  readonly previous: readonly ArchivedSession[];
  readonly spent: readonly Uint8Array[];
}

/** The current session moves to the front; beyond 40 the oldest is given up. */
function archive(record: SessionRecord): Archive {
  const { current, previous } = record;
  if (!current) return { previous, spent: [] };
  const state = confirmed(current);
  const entry: ArchivedSession = { baseKey: state.baseKey, version: state.version, load: () => state };
  const dropped = previous.slice(MAX_ARCHIVED_SESSIONS - 1);
  const spent = dropped.flatMap((old) => {
    const lost = loadUndamaged(old);
    return lost ? secretsOf(lost) : [];
  });
  return { previous: [entry, ...previous.slice(0, MAX_ARCHIVED_SESSIONS - 1)], spent };
}

/** The session that shall open a first message, and the one-time prekey it used up if it is new and used one. */
interface OpeningSession {
  readonly state: SessionState;
  readonly oneTimePreKeyId?: number;
}

/** A session found by its base key, and what the archive will be once it is current. */
interface FoundSession extends OpeningSession {
  readonly rest: Archive;
}

function findSession(record: SessionRecord, message: PreKeySignalMessage): FoundSession | undefined {
  const { current, previous } = record;
  const matches = (entry: { readonly version: number; readonly baseKey: Uint8Array }): boolean =>
    entry.version === message.version && equal(entry.baseKey, message.baseKey);
  if (current && matches(current)) return { state: current, rest: { previous, spent: [] } };
  const entry = previous.find(matches);
  if (!entry) return undefined;
  return { state: entry.load(), rest: archive({ current, previous: previous.filter((other) => other !== entry) }) };
}

function establish(crypto: Crypto, local: LocalIdentity, preKeys: PreKeySource, message: PreKeySignalMessage): OpeningSession {
  const { version, signedPreKeyId, oneTimePreKeyId, baseKey } = message;
  if (version !== CLASSIC_VERSION) throw new MiyuError("ERR_VERSION", { what: "pre-key message", version });
  // Without a one-time prekey nothing else stops a replay once the session is gone.
  if (preKeys.seenBaseKey(signedPreKeyId, baseKey)) throw new MiyuError("ERR_DUPLICATE");
  const signedPreKeyPair = preKeys.signedPreKey(signedPreKeyId);
  if (!signedPreKeyPair) throw new MiyuError("ERR_NO_PREKEY", { id: signedPreKeyId });
  const oneTimePreKeyPair = oneTimePreKeyId === undefined ? undefined : preKeys.oneTimePreKey(oneTimePreKeyId);
  // Some writers say 0 for "none" (docs/interop.md). Where key 0 was meant and is gone, the secrets differ and the MAC fails.
  if (oneTimePreKeyId && !oneTimePreKeyPair) throw new MiyuError("ERR_NO_PREKEY", { id: oneTimePreKeyId });
  const state = respond(crypto, local, { signedPreKeyPair, oneTimePreKeyPair }, message);
  return oneTimePreKeyPair ? { state, oneTimePreKeyId: oneTimePreKeyId ?? 0 } : { state };
}

function loadUndamaged(entry: ArchivedSession): SessionState | undefined {
  try {
    return entry.load();
  } catch (error) {
    if (MiyuError.is(error, "ERR_STORE_CORRUPT") || MiyuError.is(error, "ERR_VERSION")) return undefined;
    throw error;
  }
}

function isStale(state: SessionState, now: number): boolean {
  const { pendingPreKey } = state;
  return pendingPreKey !== undefined && pendingPreKey.createdAt * 1000 + MAX_PENDING_AGE < now;
}

function describePlaintext(opened: Step<SessionState, Bytes>): DecryptedMessage {
  return { plaintext: opened.output, remoteIdentityKey: copy(opened.state.remoteIdentityKey) };
}
