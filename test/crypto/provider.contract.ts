/**
 * What every crypto provider must do, as a function of the provider, so that it runs in Node, in a browser page and for a
 * provider of somebody else: outside vectors, one strict rule for signatures and base keys, typed errors, owned results.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { concat, copy, toHex, utf8 } from "../../src/bytes.ts";
import type { Crypto } from "../../src/crypto/types.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { asXeddsa, equationSignature, fromLe, isOnCurve, L, le32, mixedPoint, montgomeryOf, P, smallOrderKeys } from "./edwards.ts";
import { outcome } from "./outcome.ts";
import { symmetricContract } from "./symmetric.contract.ts";
import { fromHex, vectorFile, wycheproof } from "./vectors.ts";

interface SignalWire {
  readonly ec_keys: Readonly<
    Record<
      | "raw_private_input"
      | "private_after_clamping"
      | "public_serialized"
      | "peer_private"
      | "peer_public"
      | "shared_secret"
      | "peer_public_with_high_bit_set_same_secret",
      string
    >
  > & { readonly low_order: readonly { readonly public: string }[] };
  readonly xeddsa: {
    readonly vectors: readonly Readonly<
      Record<
        | "private"
        | "public"
        | "edwards_public_A"
        | "message"
        | "random64"
        | "signature"
        | "lib_signature_random"
        | "invalid_sign_bit_flipped"
        | "noncanonical_s_plus_L_accepted_by_libsignal",
        string
      > & { sign_bit: 0 | 1 }
    >[];
    readonly alternate_identity: Readonly<Record<"signer_private" | "signer_public" | "signed_message" | "random64" | "signature", string>>;
  };
}

/** The cases of CCTV that both providers accept. A change here is a change of what signatures mean: it needs a decision. */
export const CCTV_ACCEPTED: readonly number[] = [
  7, 29, 50, 117, 139, 161, 182, 249, 305, 411, 425, 438, 465, 473, 481, 489, 497, 511, 525, 538, 565, 573,
  581, 589, 597, 611, 625, 638, 665, 673, 681, 689, 697, 711, 725, 738, 765, 773, 781, 789, 797, 832, 899,
];

/** The 32 bytes of a serialized public key, without its type byte. */
const rawKey = (serialized: string) => fromHex(serialized).slice(1);

/** Runs the contract on what `make` resolves to. */
export function providerContract(name: string, make: () => Promise<Crypto>): void {
  describe(`provider ${name}`, () => {
    let crypto: Crypto;
    beforeAll(async () => {
      crypto = await make();
    });

    test("is a frozen object with a name", () => {
      expect(Object.isFrozen(crypto)).toBe(true);
      expect(crypto.name).toMatch(/^[a-z]+( \([a-z]+\))?$/u);
    });

    describe("X25519", () => {
      test("Wycheproof, an all-zero secret refused", () => {
        wycheproof<object, { public: string; private: string; shared: string }>("x25519", 518, (t) => [
          outcome(() => crypto.x25519(fromHex(t.private), fromHex(t.public))),
          t.shared === "0".repeat(64) ? "ERR_DECRYPT" : t.shared,
        ]);
      });

      test("RFC 7748 §5.2 and §6.1", () => {
        const rfc = vectorFile<{
          scalarmult: readonly { k: string; u: string; out: string }[];
          iterated: { start: string; after_1: string; after_1000: string };
          dh: Record<"alice_private" | "alice_public" | "bob_private" | "bob_public" | "shared", string>;
        }>("rfc/rfc7748-x25519.json");
        for (const { k, u, out } of rfc.scalarmult) expect(toHex(crypto.x25519(fromHex(k), fromHex(u)))).toBe(out);
        const after: string[] = [];
        let [k, u] = [fromHex(rfc.iterated.start), fromHex(rfc.iterated.start)];
        for (let i = 0; i < 1000; i++) {
          [k, u] = [crypto.x25519(k, u), k];
          after.push(toHex(k));
        }
        expect([after[0], after[999]]).toEqual([rfc.iterated.after_1, rfc.iterated.after_1000]);
        const { alice_private: a, alice_public: A, bob_private: b, bob_public: B, shared } = rfc.dh;
        expect([toHex(crypto.x25519PublicKey(fromHex(a))), toHex(crypto.x25519PublicKey(fromHex(b)))]).toEqual([A, B]);
        expect([toHex(crypto.x25519(fromHex(a), fromHex(B))), toHex(crypto.x25519(fromHex(b), fromHex(A)))]).toEqual([shared, shared]);
      });

      test("Signal's keys: clamped on use, high bit masked, small order refused", () => {
        const keys = vectorFile<SignalWire>("signal-wire.json").ec_keys;
        for (const privateKey of [keys.raw_private_input, keys.private_after_clamping]) {
          expect(toHex(crypto.x25519PublicKey(fromHex(privateKey)))).toBe(toHex(rawKey(keys.public_serialized)));
          for (const peer of [keys.peer_public, keys.peer_public_with_high_bit_set_same_secret]) {
            expect(toHex(crypto.x25519(fromHex(privateKey), rawKey(peer)))).toBe(keys.shared_secret);
          }
          for (const { public: low } of keys.low_order) {
            expect(outcome(() => crypto.x25519(fromHex(privateKey), rawKey(low)))).toBe("ERR_DECRYPT");
          }
        }
        expect(toHex(crypto.x25519(fromHex(keys.peer_private), rawKey(keys.public_serialized)))).toBe(keys.shared_secret);
      });
    });

    describe("base keys", () => {
      const at = (scalar: bigint, torsion: number) => {
        const u = montgomeryOf(mixedPoint(scalar, torsion));
        if (u === undefined) throw new Error("the point at infinity has no u");
        return u;
      };

      test("accepts the keys honest peers make", () => {
        const random = seededRandom(testSeed(`${name} base keys`));
        for (let i = 0; i < 20; i++) {
          const key = crypto.x25519PublicKey(random.bytes(32));
          expect(outcome(() => crypto.checkBaseKey(key)), `seed ${String(random.seed)}`).toBe("ok");
        }
        expect(outcome(() => crypto.checkBaseKey(at(5n, 0)))).toBe("ok");
      });

      test("refuses every non-canonical encoding", () => {
        const key = crypto.x25519PublicKey(new Uint8Array(32).fill(7));
        const highBit = copy(key);
        highBit[31] = (highBit[31] ?? 0) | 0x80;
        expect(outcome(() => crypto.checkBaseKey(highBit))).toBe("ERR_DECRYPT");
        const wrapped = Array.from({ length: 19 }, (_, u) => outcome(() => crypto.checkBaseKey(le32(P + BigInt(u)))));
        expect(new Set(wrapped)).toEqual(new Set(["ERR_DECRYPT"]));
        // u = 9 is the base point, so 9 is accepted and 9 + p must be refused for its encoding alone.
        expect(outcome(() => crypto.checkBaseKey(le32(9n)))).toBe("ok");
      });

      test("refuses u = 0, u = −1, every small order, torsion and the twist", () => {
        const refused = [le32(0n), le32(P - 1n), ...smallOrderKeys()];
        for (let torsion = 1; torsion < 8; torsion++) refused.push(at(5n, torsion), at(L - 1n, torsion));
        for (let u = 2n, found = 0; found < 8; u++) {
          if (isOnCurve(u)) continue;
          refused.push(le32(u));
          found++;
        }
        expect(refused.map((key) => outcome(() => crypto.checkBaseKey(key)))).toEqual(refused.map(() => "ERR_DECRYPT"));
      });
    });

    describe("XEdDSA", () => {
      const verdict = (key: Uint8Array, message: Uint8Array, signature: Uint8Array) =>
        outcome(() => crypto.xeddsaVerify(key, message, signature));

      test("Signal's vectors, both signs; a flipped sign and s + L refused", () => {
        const { vectors, alternate_identity: alternate } = vectorFile<SignalWire>("signal-wire.json").xeddsa;
        expect(new Set(vectors.map((v) => v.sign_bit))).toEqual(new Set([0, 1]));
        for (const v of vectors) {
          const [key, message] = [rawKey(v.public), fromHex(v.message)];
          expect(toHex(crypto.xeddsaSign(fromHex(v.private), message, fromHex(v.random64)))).toBe(v.signature);
          expect(Number.parseInt(v.signature.slice(126), 16) >>> 7).toBe(v.sign_bit);
          expect(toHex(montgomeryOf(fromHex(v.edwards_public_A)) ?? key.subarray(0, 0))).toBe(toHex(key));
          expect(verdict(key, message, fromHex(v.signature))).toBe("ok");
          expect(verdict(key, message, fromHex(v.lib_signature_random))).toBe("ok");
          expect(verdict(key, message, fromHex(v.invalid_sign_bit_flipped))).toBe("ERR_SIGNATURE");
          // Stricter than libsignal on purpose: one signature, one encoding.
          expect(verdict(key, message, fromHex(v.noncanonical_s_plus_L_accepted_by_libsignal))).toBe("ERR_SIGNATURE");
        }
        const signed = crypto.xeddsaSign(fromHex(alternate.signer_private), fromHex(alternate.signed_message), fromHex(alternate.random64));
        expect(toHex(signed)).toBe(alternate.signature);
        expect(verdict(rawKey(alternate.signer_public), fromHex(alternate.signed_message), signed)).toBe("ok");
      });

      test("Wycheproof and RFC 8032, carried over to Montgomery keys", () => {
        wycheproof<{ publicKey: { pk: string } }, { msg: string; sig: string }>("ed25519", 151, (t, { publicKey: { pk } }) => {
          const [message, signature] = [fromHex(t.msg), fromHex(t.sig)];
          const carried = signature.length === 64 ? asXeddsa(fromHex(pk), signature) : { publicKey: montgomeryOf(fromHex(pk)), signature };
          if (carried?.publicKey === undefined) return ["no Montgomery form", "no such case"];
          // Case 69 sets bit 255 of a valid s. XEdDSA carries the sign of A there, so here that bit is no part of s.
          const valid = t.result === "valid" || t.tcId === 69;
          return [verdict(carried.publicKey, message, carried.signature), valid ? "ok" : "ERR_SIGNATURE"];
        });
        const rfc = vectorFile<readonly { publicKey: string; message: string; signature: string }[]>("rfc/rfc8032-ed25519.json");
        expect(rfc.length).toBe(5);
        for (const { publicKey, message, signature } of rfc) {
          const carried = asXeddsa(fromHex(publicKey), fromHex(signature));
          expect(carried && verdict(carried.publicKey, fromHex(message), carried.signature)).toBe("ok");
        }
      });

      test("CCTV: accepts exactly the pinned cases", () => {
        const cases = vectorFile<readonly { number: number; key: string; sig: string; msg: string }[]>("cctv/ed25519/ed25519vectors.json");
        expect(cases.length).toBe(914);
        const accepted = cases.filter(({ key, sig, msg }) => {
          const carried = asXeddsa(fromHex(key), fromHex(sig));
          return carried !== undefined && verdict(carried.publicKey, utf8(msg), carried.signature) === "ok";
        });
        expect(accepted.map((each) => each.number)).toEqual(CCTV_ACCEPTED);
      });

      test("refuses small-order A and R, and torsion that breaks the byte comparison", () => {
        const message = utf8("mixed order");
        const sha512 = (m: Uint8Array) => crypto.sha512(m);
        const check = (A: ReturnType<typeof copy>, R: ReturnType<typeof copy>, a: bigint, r: bigint) => {
          const carried = asXeddsa(A, equationSignature(sha512, a, A, r, R, message));
          return carried === undefined ? "ERR_SIGNATURE" : verdict(carried.publicKey, message, carried.signature);
        };
        const clean = mixedPoint(5n, 0);
        expect(check(clean, mixedPoint(7n, 0), 5n, 7n)).toBe("ok");
        for (let torsion = 0; torsion < 8; torsion++) {
          // The signature equation holds up to torsion in all of these; a cofactored verifier would accept them.
          expect(check(mixedPoint(0n, torsion), mixedPoint(7n, 0), 0n, 7n)).toBe("ERR_SIGNATURE");
          expect(check(clean, mixedPoint(0n, torsion), 5n, 0n)).toBe("ERR_SIGNATURE");
          if (torsion !== 0) expect(check(clean, mixedPoint(7n, torsion), 5n, 7n)).toBe("ERR_SIGNATURE");
        }
      });

      test("any change to key, message or signature is refused", () => {
        const random = seededRandom(testSeed(`${name} xeddsa`));
        const privateKey = random.bytes(32);
        const [key, message] = [crypto.x25519PublicKey(privateKey), random.bytes(50)];
        const signature = crypto.xeddsaSign(privateKey, message, random.bytes(64));
        expect(verdict(key, message, signature)).toBe("ok");
        const parts = [key, message, signature] as const;
        for (const [index, part] of parts.entries()) {
          for (let i = 0; i < part.length; i++) {
            const changed = copy(part);
            // All but the top bit of the public key, which is masked.
            changed[i] = (part[i] ?? 0) ^ (1 << random.int(index === 0 && i === 31 ? 7 : 8));
            const [k, m, s] = parts.map((same, at) => (at === index ? changed : same)) as [Uint8Array, Uint8Array, Uint8Array];
            expect(verdict(k, m, s), `seed ${String(random.seed)}, part ${String(index)}, byte ${String(i)}`).toBe("ERR_SIGNATURE");
          }
        }
        const masked = copy(key);
        masked[31] = (masked[31] ?? 0) ^ 0x80;
        expect(verdict(masked, message, signature)).toBe("ok");
        expect(verdict(le32(P - 1n), message, signature)).toBe("ERR_SIGNATURE");
        for (const size of [0, 1, 31, 33, 64]) expect(verdict(new Uint8Array(size), message, signature)).toBe("ERR_SIGNATURE");
        for (const size of [0, 32, 63, 65, 128]) {
          expect(verdict(key, message, concat(signature, signature).subarray(0, size))).toBe("ERR_SIGNATURE");
        }
      });

      test("s at its limits", () => {
        const message = utf8("s");
        const [key, R] = [mixedPoint(5n, 0), mixedPoint(7n, 0)];
        const good = equationSignature((m) => crypto.sha512(m), 5n, key, 7n, R, message);
        const s = fromLe(good.subarray(32));
        const verdicts = [s, s + L, s + 2n * L, L, 2n ** 255n - 1n].map((each) => {
          const carried = asXeddsa(key, concat(R, le32(each)));
          return carried && verdict(carried.publicKey, message, carried.signature);
        });
        expect(verdicts).toEqual(["ok", "ERR_SIGNATURE", "ERR_SIGNATURE", "ERR_SIGNATURE", "ERR_SIGNATURE"]);
      });
    });
  });
  symmetricContract(name, make);
}
