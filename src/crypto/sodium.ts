/**
 * The provider on libsodium (WebAssembly): X25519, Ed25519 verification and XChaCha20-Poly1305 run there. The standard
 * build of libsodium-wrappers has no SHA-2, HMAC, HKDF, AES-CBC or Edwards arithmetic, so those come from noble; with
 * the sumo build, signing, SHA-2 and HMAC run in libsodium too. docs/crypto.md has the table.
 */
import { wipe } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import { multiplyAddScalars, multiplyBase, reduceScalar } from "./curve25519.ts";
import { nobleCrypto } from "./noble.ts";
import { attempt, cryptoOf, type Primitives } from "./provider.ts";
import type { Crypto } from "./types.ts";

/** What is used of `libsodium-wrappers`: hand in its default export, or the one of `libsodium-wrappers-sumo`. */
export interface Sodium {
  /** Resolves when the WebAssembly module is set up. */
  readonly ready: Promise<void>;
  /** X25519; throws if the result is all zero. */
  crypto_scalarmult(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array;
  /** X25519 with the base point. */
  crypto_scalarmult_base(privateKey: Uint8Array): Uint8Array;
  /** Ed25519 verification, strict. */
  crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
  /** Throws for a point off the curve, of small order or outside the prime-order subgroup. */
  crypto_sign_ed25519_pk_to_curve25519(publicKey: Uint8Array): Uint8Array;
  /** XChaCha20-Poly1305, ciphertext ‖ tag; the third argument is unused. */
  crypto_aead_xchacha20poly1305_ietf_encrypt(
    message: Uint8Array,
    aad: Uint8Array,
    secretNonce: null,
    nonce: Uint8Array,
    key: Uint8Array,
  ): Uint8Array;
  /** Opposite of the above; throws on forgery. The first argument is unused. */
  crypto_aead_xchacha20poly1305_ietf_decrypt(
    secretNonce: null,
    ciphertext: Uint8Array,
    aad: Uint8Array,
    nonce: Uint8Array,
    key: Uint8Array,
  ): Uint8Array;
}

/** What only the sumo build has. */
export interface SodiumSumo {
  /** A 64-byte integer modulo L. */
  crypto_core_ed25519_scalar_reduce(wide: Uint8Array): Uint8Array;
  /** a·b mod L. */
  crypto_core_ed25519_scalar_mul(a: Uint8Array, b: Uint8Array): Uint8Array;
  /** a + b mod L. */
  crypto_core_ed25519_scalar_add(a: Uint8Array, b: Uint8Array): Uint8Array;
  /** compress(k·B). */
  crypto_scalarmult_ed25519_base_noclamp(scalar: Uint8Array): Uint8Array;
  /** SHA-256. */
  crypto_hash_sha256(message: Uint8Array): Uint8Array;
  /** SHA-512. */
  crypto_hash_sha512(message: Uint8Array): Uint8Array;
  /** HMAC-SHA-256 under a key of exactly 32 bytes. */
  crypto_auth_hmacsha256(message: Uint8Array, key: Uint8Array): Uint8Array;
}

/**
 * Sets up libsodium and returns its provider, named `"sodium"` or, over the sumo build, `"sodium (sumo)"`.
 * Without an argument `libsodium-wrappers` is imported, only then.
 *
 * @throws {MiyuError} ERR_USAGE if libsodium cannot be loaded here (no WebAssembly, or a policy against it)
 */
export async function sodiumCrypto(sodium?: Sodium | (Sodium & SodiumSumo)): Promise<Crypto> {
  const library = await load(sodium);
  const sumo = hasSumo(library) ? library : undefined;
  return cryptoOf({
    name: sumo ? "sodium (sumo)" : "sodium",
    x25519PublicKey: (privateKey) => library.crypto_scalarmult_base(privateKey),
    x25519SharedSecret: (privateKey, publicKey) => attempt(() => library.crypto_scalarmult(privateKey, publicKey)),
    isInPrimeSubgroup: (compressed) => attempt(() => library.crypto_sign_ed25519_pk_to_curve25519(compressed)) !== undefined,
    verifyEd25519: (publicKey, message, signature) => library.crypto_sign_verify_detached(signature, message, publicKey),
    aeadSeal: (key, nonce, aad, plaintext) => library.crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, aad, null, nonce, key),
    aeadOpen: (key, nonce, aad, sealed) =>
      attempt(() => library.crypto_aead_xchacha20poly1305_ietf_decrypt(null, sealed, aad, nonce, key)),
    hkdfSha256: nobleCrypto.hkdfSha256,
    aesCbcEncrypt: nobleCrypto.aesCbcEncrypt,
    aesCbcDecrypt: nobleCrypto.aesCbcDecrypt,
    ...(sumo ? sumoArithmetic(sumo) : NOBLE_ARITHMETIC),
  });
}

/** Hashes and Edwards arithmetic: what the standard build borrows from noble and sumo brings itself. */
type Arithmetic = Pick<Primitives, "reduceScalar" | "multiplyAddScalars" | "multiplyBase" | "sha256" | "sha512" | "hmacSha256">;

const NOBLE_ARITHMETIC: Arithmetic = {
  reduceScalar,
  multiplyAddScalars,
  multiplyBase,
  sha256: nobleCrypto.sha256,
  sha512: nobleCrypto.sha512,
  hmacSha256: nobleCrypto.hmacSha256,
};

function sumoArithmetic(sumo: SodiumSumo): Arithmetic {
  return {
    reduceScalar: (wide) => sumo.crypto_core_ed25519_scalar_reduce(wide),
    multiplyAddScalars(a, b, c) {
      const product = sumo.crypto_core_ed25519_scalar_mul(a, b);
      try {
        return sumo.crypto_core_ed25519_scalar_add(product, c);
      } finally {
        wipe(product);
      }
    },
    multiplyBase: (scalar) => sumo.crypto_scalarmult_ed25519_base_noclamp(scalar),
    sha256: (message) => sumo.crypto_hash_sha256(message),
    sha512: (message) => sumo.crypto_hash_sha512(message),
    // libsodium's HMAC takes keys of 32 bytes only.
    hmacSha256: (key, message) => (key.length === 32 ? sumo.crypto_auth_hmacsha256(message, key) : nobleCrypto.hmacSha256(key, message)),
  };
}

async function load(sodium: Sodium | undefined): Promise<Sodium> {
  try {
    const library: Sodium = sodium ?? (await import("libsodium-wrappers")).default;
    await library.ready;
    return library;
  } catch {
    throw new MiyuError("ERR_USAGE", { reason: "libsodium cannot be loaded here" });
  }
}

function hasSumo(sodium: Sodium): sodium is Sodium & SodiumSumo {
  return "crypto_scalarmult_ed25519_base_noclamp" in sodium;
}
