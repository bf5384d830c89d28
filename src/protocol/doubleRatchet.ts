/**
 * The arithmetic of the Double Ratchet (§2.2, §2.3, §5.2): root step, chain step, message keys, and the body of a message.
 * No state lives here. `runStep` is the frame every state change runs in: what a step derives is wiped unless the new state
 * keeps it, and everything is wiped if the step throws.
 */
import { utf8, wipe, type Bytes } from "../bytes.ts";
import type { Crypto } from "../crypto/types.ts";
import { agree } from "./keys.ts";

const SEED_INPUT = Uint8Array.of(1);
const CHAIN_INPUT = Uint8Array.of(2);
const ROOT_LABEL = utf8("WhisperRatchet");
const MESSAGE_LABEL = utf8("WhisperMessageKeys");

/** The secrets one step has derived so far. */
export class StepSecrets {
  readonly #passing: Uint8Array[] = [];
  readonly #kept: Uint8Array[] = [];

  /** Registers a secret of this step alone: wiped when the step ends. */
  passing<T extends Uint8Array>(secret: T): T {
    this.#passing.push(secret);
    return secret;
  }

  /** Registers a secret for the new state or the output: wiped only if the step throws. */
  keep<T extends Uint8Array>(secret: T): T {
    this.#kept.push(secret);
    return secret;
  }

  /** Ends the step. */
  end(succeeded: boolean): void {
    for (const secret of this.#passing) wipe(secret);
    if (!succeeded) for (const secret of this.#kept) wipe(secret);
  }
}

/** Runs a step and wipes what it derived: on success what it did not keep, on a throw everything. */
export function runStep<T>(step: (secrets: StepSecrets) => T): T {
  const secrets = new StepSecrets();
  let succeeded = false;
  try {
    const result = step(secrets);
    succeeded = true;
    return result;
  } finally {
    secrets.end(succeeded);
  }
}

/** A root key and the chain key it gave birth to, 32 bytes each. */
export interface RootStep {
  readonly rootKey: Bytes;
  readonly chainKey: Bytes;
}

/**
 * One DH ratchet turn: HKDF(DH, salt root key, "WhisperRatchet", 64). Both results are registered as kept.
 * @throws {MiyuError} ERR_DECRYPT if the agreement is all zero
 */
export function rootStep(crypto: Crypto, secrets: StepSecrets, rootKey: Uint8Array, privateKey: Uint8Array, ratchetKey: Uint8Array): RootStep {
  const secret = secrets.passing(agree(crypto, privateKey, ratchetKey));
  return splitKeys(secrets, crypto.hkdfSha256(secret, rootKey, ROOT_LABEL, 64));
}

/** Root key and chain key out of 64 derived bytes, which are registered as passing, the two as kept. */
export function splitKeys(secrets: StepSecrets, derived: Bytes): RootStep {
  secrets.passing(derived);
  return { rootKey: secrets.keep(derived.slice(0, 32)), chainKey: secrets.keep(derived.slice(32, 64)) };
}

/** The seed of the message at this place of the chain: HMAC(chain key, 0x01), 32 bytes. The caller registers it. */
export function messageSeed(crypto: Crypto, chainKey: Uint8Array): Bytes {
  return crypto.hmacSha256(chainKey, SEED_INPUT);
}

/** The chain key of the next place: HMAC(chain key, 0x02), 32 bytes. The caller registers it. */
export function nextChainKey(crypto: Crypto, chainKey: Uint8Array): Bytes {
  return crypto.hmacSha256(chainKey, CHAIN_INPUT);
}

/** Keys of one message: views of one buffer that is wiped with the step. */
export interface MessageKeys {
  /** 32 bytes. */
  readonly cipherKey: Uint8Array;
  /** 32 bytes. */
  readonly macKey: Uint8Array;
  /** 16 bytes. */
  readonly iv: Uint8Array;
}

/** HKDF(seed, salt none, "WhisperMessageKeys", 80). */
export function messageKeys(crypto: Crypto, secrets: StepSecrets, seed: Uint8Array): MessageKeys {
  const derived = secrets.passing(crypto.hkdfSha256(seed, undefined, MESSAGE_LABEL, 80));
  return { cipherKey: derived.subarray(0, 32), macKey: derived.subarray(32, 64), iv: derived.subarray(64, 80) };
}
