/**
 * `miyu/protocol`: X3DH and Double Ratchet sessions as pure functions over bytes and read-only states, for those who bring their
 * own storage and transport. Commit a step's `state` before anything of its `output` leaves, then wipe its `spent`.
 */
export { ChainGapError, MAX_FORWARD_JUMP, walkChain, wipeChainAhead } from "./chainWalk.ts";
export { compareScannable, FINGERPRINT_ITERATIONS, safetyNumber, type SafetyNumber, type SafetyNumberParties } from "./fingerprint.ts";
export { agree, deserializePublicKey, generateKeyPair, keyPairFromPrivate, rawPublicKey, serializePublicKey } from "./keys.ts";
export {
  decodePreKeySignalMessage,
  decodeSignalMessage,
  type PreKeySignalMessage,
  type SignalMessage,
} from "./messages.ts";
export {
  decodeOneTimePreKey,
  decodeSignedPreKey,
  encodeOneTimePreKey,
  encodeSignedPreKey,
  generateOneTimePreKeys,
  generateSignedPreKey,
  verifyPreKeyBundle,
  type OneTimePreKey,
  type PreKeyBundle,
  type SignedPreKey,
  type VerifiedPreKeyBundle,
} from "./preKeys.ts";
export {
  decodeSessionRecord,
  decodeSessionRecordWhole,
  encodeSessionRecord,
  encodeSessionRecordWhole,
  type EncodedSessionRecord,
} from "./records.ts";
export {
  archiveCurrentSession,
  decryptPreKeySignalMessage,
  decryptSignalMessage,
  describeSession,
  EMPTY_SESSION_RECORD,
  encryptMessage,
  hasUsableSession,
  initiateSession,
  MAX_ARCHIVED_SESSIONS,
  MAX_PENDING_AGE,
  type DecryptedMessage,
  type DecryptedPreKeyMessage,
  type SessionDescription,
} from "./session.ts";
export { MAX_RECEIVER_CHAINS, type EncryptedMessage } from "./sessionState.ts";
export { MAX_SKIPPED_KEYS } from "./skippedKeys.ts";
export type {
  ArchivedSession,
  ChainAhead,
  ChainGap,
  DecryptOptions,
  KeyPair,
  LocalIdentity,
  PageSource,
  PendingPreKey,
  PreKeySource,
  ReceiverChain,
  SenderChain,
  SessionParts,
  SessionRecord,
  SessionState,
  SkippedKeys,
  SkippedPage,
  Step,
} from "./types.ts";
