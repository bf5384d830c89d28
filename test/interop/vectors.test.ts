/**
 * Every section of test/vectors/signal-wire.json that concerns message version 3, on both providers and through the core's own
 * functions. All sections and all cases are named here, run or not, so that a new one makes a test fail.
 */
import { describe, expect, test } from "vitest";
import { concat, toHex, utf8, type Bytes } from "../../src/bytes.ts";
import type { Crypto } from "../../src/crypto/types.ts";
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { sodiumCrypto } from "../../src/crypto/sodium.ts";
import { messageKeys, messageSeed, nextChainKey, rootStep, runStep, type StepSecrets } from "../../src/protocol/doubleRatchet.ts";
import {
  agree,
  compareScannable,
  decodePreKeySignalMessage,
  decryptPreKeySignalMessage,
  decryptSignalMessage,
  deserializePublicKey,
  EMPTY_SESSION_RECORD,
  encodeSessionRecordWhole,
  encryptMessage,
  keyPairFromPrivate,
  safetyNumber,
  type LocalIdentity,
  type PreKeySource,
} from "../../src/protocol/index.ts";
import { fromHex, vectorFile } from "../crypto/vectors.ts";
import { seededRandom } from "../support/random.ts";
import { partiesOf } from "./libsignalRecord.ts";
import { fieldOrder, readPreKeySignal, readSignal } from "./wireSchema.ts";

/** Sections of the file: what is run here, and why the rest is not. */
const SECTIONS = {
  _meta: "description",
  ec_keys: "run",
  xeddsa: "run",
  kyber1024: "version 4",
  pqxdh: "version 4",
  pqxdh_lib_initiator: "version 4",
  negative_and_boundary: "run: cases of version 3; those of version 4 as messages to refuse",
  kdf: "run: without salt; the salted half is version 4",
  lib_encrypt_from_crafted_record_without_spqr: "run: the version 3 session; message keys of all",
  sender_keys: "groups",
  fingerprints: "run",
  sealed_sender: "sealed sender",
  misc: "run: prekey_v3_without_kyber_parse_only",
} as const;

const MISC = {
  signal_message_new: "version 4",
  prekey_v3_without_kyber_parse_only: "run",
  decryption_error_message: "not part of this protocol",
  plaintext_content_lib: "not part of this protocol",
  aes_gcm_siv: "sealed sender",
  hpke: "not part of this protocol",
} as const;

/** First messages of version 4, which no session here has: refused by their version once they parse. */
const VERSION_4_FIRST_MESSAGES = [
  "control: valid", "kyber id without ciphertext", "inner version 3", "low nibble of version byte ignored (0x40)", "base key non-canonical p+2",
  "base key order 8", "SPQR message absent", "SPQR version byte 0", "SPQR epoch 1 index 0 -> no key mixed in", "bad MAC", "bad PKCS7",
  "addresses: wrong sender device", "addresses absent", "addresses empty", "duplicate", "counter 25001 (SPQR index 1)",
  "counter 25000 (SPQR index 25001)", "identity key differs from the matching session",
  "repeat with bogus prekey ids/kyber ciphertext on known base key",
] as const;

/** SignalMessages for a version 4 session. */
const VERSION_4_SIGNAL_MESSAGES = ["whisper with wrong addresses", "whisper version 3 into v4 session"] as const;

const CASES_RUN = ["outer version 3 without kyber", "outer version 5"] as const;

interface Vectors {
  readonly ec_keys: {
    readonly raw_private_input: string;
    readonly private_after_clamping: string;
    readonly public_serialized: string;
    readonly peer_private: string;
    readonly peer_public: string;
    readonly shared_secret: string;
    readonly peer_public_with_high_bit_set_same_secret: string;
    readonly low_order: readonly { readonly public: string }[];
    readonly identity_key_pair_serialized: string;
    readonly deserialize_errors: Readonly<Record<string, string>>;
  };
  readonly xeddsa: {
    readonly vectors: readonly {
      readonly private: string;
      readonly public: string;
      readonly message: string;
      readonly random64: string;
      readonly signature: string;
      readonly lib_signature_random: string;
      readonly invalid_sign_bit_flipped: string;
      readonly noncanonical_s_plus_L_accepted_by_libsignal: string;
      readonly edwards_public_A: string;
      readonly sign_bit: number;
    }[];
    readonly alternate_identity: Readonly<Record<"signer_private" | "signer_public" | "signed_message" | "random64" | "signature", string>>;
  };
  readonly negative_and_boundary: {
    readonly bob: {
      readonly identity_private: string;
      readonly signed_prekey_id: number;
      readonly signed_prekey_private: string;
      readonly one_time_prekey_id: number;
      readonly one_time_prekey_private: string;
    };
    readonly cases: readonly { readonly name: string; readonly type: number; readonly message: string }[];
  };
  readonly kdf: {
    readonly chain: readonly {
      readonly index: number;
      readonly chain_key: string;
      readonly seed: string;
      readonly no_salt: { readonly cipher: string; readonly mac: string; readonly iv: string };
    }[];
    readonly next_chain_key: string;
    readonly root_step: Readonly<Record<"root_key" | "our_private" | "their_public" | "dh" | "new_root" | "chain_key", string>>;
  };
  readonly lib_encrypt_from_crafted_record_without_spqr: {
    readonly identity_private_alice: string;
    readonly identity_private_bob: string;
    readonly sender_ratchet_private: string;
    readonly vectors: readonly {
      readonly name: string;
      readonly record: string;
      readonly plaintext_utf8: string;
      readonly lib_message: string;
      readonly seed: string;
      readonly cipher_key: string;
      readonly mac_key: string;
      readonly iv: string;
      readonly session_after: string;
    }[];
  };
  readonly fingerprints: readonly {
    readonly name: string;
    readonly version: number;
    readonly iterations: number;
    readonly local_id: string;
    readonly local_public: string;
    readonly remote_id: string;
    readonly remote_public: string;
    readonly local_hash: string;
    readonly remote_hash: string;
    readonly display: string;
    readonly scannable: string;
  }[];
  readonly misc: { readonly prekey_v3_without_kyber_parse_only: Readonly<Record<"base" | "identity" | "serialized_lib", string>> };
}

const vectors = vectorFile<Vectors>("signal-wire.json");
const error = (code: string): Error => expect.objectContaining({ code }) as Error;

test("every section of the file is known, run or not", () => {
  expect(Object.keys(vectors).sort()).toEqual(Object.keys(SECTIONS).sort());
  expect(Object.keys(vectors.misc).sort()).toEqual(Object.keys(MISC).sort());
  const cases = vectors.negative_and_boundary.cases.map(({ name }) => name);
  expect(cases.sort()).toEqual([...CASES_RUN, ...VERSION_4_FIRST_MESSAGES, ...VERSION_4_SIGNAL_MESSAGES].sort());
});

describe.each([{ crypto: nobleCrypto }, { crypto: await sodiumCrypto() }])("$crypto.name", ({ crypto }) => {
  const random = seededRandom(1);

  describe("ec_keys", () => {
    const keys = vectors.ec_keys;

    test("clamping, public keys, agreement, high bit", () => {
      const own = keyPairFromPrivate(crypto, fromHex(keys.raw_private_input));
      expect([toHex(own.privateKey), toHex(own.publicKey)]).toEqual([keys.private_after_clamping, keys.public_serialized]);
      const peer = keyPairFromPrivate(crypto, fromHex(keys.peer_private));
      expect(toHex(peer.publicKey)).toBe(keys.peer_public);
      for (const key of [keys.peer_public, keys.peer_public_with_high_bit_set_same_secret]) {
        expect(toHex(agree(crypto, own.privateKey, fromHex(key)))).toBe(keys.shared_secret);
      }
      expect(toHex(agree(crypto, peer.privateKey, own.publicKey))).toBe(keys.shared_secret);
      // Kept byte for byte, so the two encodings stay two keys.
      const twin = keys.peer_public_with_high_bit_set_same_secret;
      expect(toHex(deserializePublicKey(fromHex(twin)))).toBe(twin);
      const stored = `0a21${keys.public_serialized}1220${keys.private_after_clamping}`;
      expect(keys.identity_key_pair_serialized).toBe(stored);
    });

    test("small-order keys", () => {
      expect(keys.low_order.length).toBe(7);
      for (const { public: key } of keys.low_order) {
        expect(() => agree(crypto, fromHex(keys.private_after_clamping), fromHex(key)), key).toThrow(error("ERR_DECRYPT"));
      }
    });

    test("deserialization", () => {
      const valid = fromHex(keys.public_serialized);
      const inputs: Record<string, () => unknown> = {
        empty: () => deserializePublicKey(new Uint8Array(0)),
        type_06: () => deserializePublicKey(valid.with(0, 6)),
        short_32_total: () => deserializePublicKey(valid.subarray(0, 32)),
        private_31: () => keyPairFromPrivate(crypto, new Uint8Array(31)),
        trailing_bytes: () => deserializePublicKey(concat(valid, Uint8Array.of(1, 2, 3))),
      };
      expect(Object.keys(keys.deserialize_errors).sort()).toEqual(Object.keys(inputs).sort());
      for (const [name, says] of Object.entries(keys.deserialize_errors)) {
        if (says.startsWith("accepted")) expect(inputs[name]!()).toEqual(valid);
        else expect(inputs[name], name).toThrow(error("ERR_DECODE"));
      }
    });
  });

  describe("xeddsa", () => {
    const raw = (serialized: string): Bytes => fromHex(serialized).slice(1);

    test.each(vectors.xeddsa.vectors)("message $message", (each) => {
      const message = fromHex(each.message);
      expect(toHex(crypto.xeddsaSign(fromHex(each.private), message, fromHex(each.random64)))).toBe(each.signature);
      expect(fromHex(each.signature)[63]! >>> 7).toBe(each.sign_bit);
      for (const good of [each.signature, each.lib_signature_random]) {
        expect(() => crypto.xeddsaVerify(raw(each.public), message, fromHex(good))).not.toThrow();
      }
      // The second is the one place of this file where we are stricter (docs/interop.md).
      for (const bad of [each.invalid_sign_bit_flipped, each.noncanonical_s_plus_L_accepted_by_libsignal]) {
        expect(() => crypto.xeddsaVerify(raw(each.public), message, fromHex(bad))).toThrow(error("ERR_SIGNATURE"));
      }
      expect(() => crypto.xeddsaVerify(raw(each.public), concat(message, Uint8Array.of(0)), fromHex(each.signature))).toThrow(error("ERR_SIGNATURE"));
    });

    test("alternate identity", () => {
      const { signer_private, signer_public, signed_message, random64, signature } = vectors.xeddsa.alternate_identity;
      expect(toHex(crypto.xeddsaSign(fromHex(signer_private), fromHex(signed_message), fromHex(random64)))).toBe(signature);
      expect(() => crypto.xeddsaVerify(raw(signer_public), fromHex(signed_message), fromHex(signature))).not.toThrow();
    });
  });

  describe("kdf", () => {
    test("chain, seeds and message keys", () => {
      let chainKey = fromHex(vectors.kdf.chain[0]!.chain_key);
      for (const [index, each] of vectors.kdf.chain.entries()) {
        expect([each.index, each.chain_key]).toEqual([index, toHex(chainKey)]);
        const seed = messageSeed(crypto, chainKey);
        expect(toHex(seed)).toBe(each.seed);
        expect(hexKeys(crypto, seed)).toEqual(each.no_salt);
        chainKey = nextChainKey(crypto, chainKey);
      }
      expect(toHex(chainKey)).toBe(vectors.kdf.next_chain_key);
    });

    test("root step", () => {
      const step = vectors.kdf.root_step;
      expect(toHex(agree(crypto, fromHex(step.our_private), fromHex(step.their_public)))).toBe(step.dh);
      const came = runStep((secrets) => rootStep(crypto, secrets, fromHex(step.root_key), fromHex(step.our_private), fromHex(step.their_public)));
      expect([toHex(came.rootKey), toHex(came.chainKey)]).toEqual([step.new_root, step.chain_key]);
    });
  });

  test.each(vectors.fingerprints)("fingerprints: $name", (each) => {
    const { version, iterations } = each;
    const parties = { localKey: fromHex(each.local_public), localId: fromHex(each.local_id), remoteKey: fromHex(each.remote_public), remoteId: fromHex(each.remote_id) };
    const ours = safetyNumber(crypto, { ...parties, version, iterations });
    expect([ours.digits, toHex(ours.scannable)]).toEqual([each.display, each.scannable]);
    // Both halves of the scannable form begin the published hashes.
    expect([toHex(ours.scannable.subarray(6, 38)), toHex(ours.scannable.subarray(42, 74))]).toEqual([each.local_hash.slice(0, 64), each.remote_hash.slice(0, 64)]);
    const theirs = safetyNumber(crypto, {
      localKey: parties.remoteKey, localId: parties.remoteId, remoteKey: parties.localKey, remoteId: parties.localId, version, iterations,
    });
    expect(theirs.digits).toBe(each.display);
    expect(compareScannable(crypto, fromHex(each.scannable), theirs.scannable)).toBe(true);
    expect(compareScannable(crypto, fromHex(each.scannable), fromHex(each.scannable))).toBe(false);
  });

  describe("lib_encrypt_from_crafted_record_without_spqr", () => {
    const section = vectors.lib_encrypt_from_crafted_record_without_spqr;
    const whisper = section.vectors.find(({ name }) => name === "whisper v3")!;

    test("the vectors are the known ones, and all have the message keys of their seed", () => {
      expect(section.vectors.map(({ name }) => name)).toEqual(["whisper v4, prev 5, index 7", "prekey v4", "whisper v3"]);
      for (const each of section.vectors) {
        expect(hexKeys(crypto, fromHex(each.seed))).toEqual({ cipher: each.cipher_key, mac: each.mac_key, iv: each.iv });
      }
    });

    test("whisper v3: the library's bytes from the library's record, but for the low nibble and the MAC over it", () => {
      const { senderRecord } = partiesOf(crypto, whisper.record);
      const { state, output } = encryptMessage(crypto, senderRecord, utf8(whisper.plaintext_utf8), 0);
      const theirs = fromHex(whisper.lib_message);
      expect([theirs[0], output.message[0]]).toEqual([0x34, 0x33]);
      expect([output.kind, toHex(output.message.subarray(1, -8))]).toEqual(["signal", toHex(theirs.subarray(1, -8))]);
      const parties = concat(senderRecord.current!.localIdentityKey, senderRecord.current!.remoteIdentityKey);
      const mac = (message: Uint8Array): string => toHex(crypto.hmacSha256(fromHex(whisper.mac_key), concat(parties, message.subarray(0, -8)))).slice(0, 16);
      expect(toHex(theirs.subarray(-8))).toBe(mac(theirs));
      expect(toHex(output.message.subarray(-8))).toBe(mac(output.message));
      const after = partiesOf(crypto, whisper.session_after).senderRecord.current!;
      expect(state.current!.senderChain).toEqual(after.senderChain);
      expect(state.current!.rootKey).toEqual(after.rootKey);
    });

    test("whisper v3: the receiver opens the library's bytes", () => {
      const { receiverRecord } = partiesOf(crypto, whisper.record);
      const { output } = decryptSignalMessage(crypto, random.bytes, receiverRecord, fromHex(whisper.lib_message));
      expect(output.plaintext).toEqual(utf8(whisper.plaintext_utf8));
      expect(toHex(output.remoteIdentityKey)).toBe(toHex(keyPairFromPrivate(crypto, fromHex(section.identity_private_alice)).publicKey));
    });

    test("a version 4 message into the version 3 session", () => {
      const { receiverRecord } = partiesOf(crypto, whisper.record);
      const before = toHex(encodeSessionRecordWhole(receiverRecord));
      const v4 = section.vectors[0]!;
      expect(() => decryptSignalMessage(crypto, random.bytes, receiverRecord, fromHex(v4.lib_message))).toThrow(error("ERR_DECRYPT"));
      expect(toHex(encodeSessionRecordWhole(receiverRecord))).toBe(before);
    });
  });

  test("misc: prekey_v3_without_kyber_parse_only", () => {
    const { base, identity, serialized_lib } = vectors.misc.prekey_v3_without_kyber_parse_only;
    const bytes = fromHex(serialized_lib);
    const message = decodePreKeySignalMessage(bytes);
    expect([message.version, toHex(message.baseKey), toHex(message.identityKey)]).toEqual([3, base, identity]);
    const second = readPreKeySignal(bytes);
    expect(fieldOrder(second.body)).toEqual([1, 2, 3, 4, 5, 6]);
    expect([message.oneTimePreKeyId, message.signedPreKeyId, message.registrationId]).toEqual([
      second.oneTimePreKeyId, second.signedPreKeyId, second.registrationId,
    ]);
    const inner = readSignal(second.message);
    expect([toHex(message.message.ratchetKey), message.message.counter, toHex(message.message.ciphertext), toHex(message.message.mac)]).toEqual([
      toHex(inner.ratchetKey), inner.counter, toHex(inner.ciphertext), toHex(inner.mac),
    ]);
  });

  describe("negative_and_boundary", () => {
    const { bob, cases } = vectors.negative_and_boundary;
    const local: LocalIdentity = { identityKeyPair: keyPairFromPrivate(crypto, fromHex(bob.identity_private)), registrationId: 2 };
    const pair = (id: number, wanted: number, key: string) => (id === wanted ? keyPairFromPrivate(crypto, fromHex(key)) : undefined);
    const preKeys: PreKeySource = {
      signedPreKey: (id) => pair(id, bob.signed_prekey_id, bob.signed_prekey_private),
      oneTimePreKey: (id) => pair(id, bob.one_time_prekey_id, bob.one_time_prekey_private),
      seenBaseKey: () => false,
    };
    const open = (name: string): unknown => {
      const message = fromHex(cases.find((each) => each.name === name)!.message);
      return decryptPreKeySignalMessage(crypto, random.bytes, EMPTY_SESSION_RECORD, local, preKeys, message);
    };

    test("outer version 3 without kyber", () => {
      // The classic suite is open here, so it gets as far as the message inside, which is of version 4.
      expect(() => open("outer version 3 without kyber")).toThrow(error("ERR_DECRYPT"));
    });

    test("outer version 5", () => {
      expect(() => open("outer version 5")).toThrow(error("ERR_VERSION"));
    });

    test.each(VERSION_4_FIRST_MESSAGES)("version 4: %s", (name) => {
      expect(() => open(name)).toThrow(error("ERR_VERSION"));
      expect(EMPTY_SESSION_RECORD).toEqual({ current: undefined, previous: [] });
    });

    test.each(VERSION_4_SIGNAL_MESSAGES)("%s, without a session", (name) => {
      const { type, message } = cases.find((each) => each.name === name)!;
      expect(type).toBe(2);
      expect(() => decryptSignalMessage(crypto, random.bytes, EMPTY_SESSION_RECORD, fromHex(message))).toThrow(error("ERR_NO_SESSION"));
    });
  });
});

function hexKeys(crypto: Crypto, seed: Uint8Array): { cipher: string; mac: string; iv: string } {
  return runStep((secrets: StepSecrets) => {
    const { cipherKey, macKey, iv } = messageKeys(crypto, secrets, seed);
    return { cipher: toHex(cipherKey), mac: toHex(macKey), iv: toHex(iv) };
  });
}
