import { describe, expect, test } from "vitest";
import { toHex } from "../../src/bytes.ts";
import { messageKeys, messageSeed, nextChainKey, rootStep, runStep, type StepSecrets } from "../../src/protocol/doubleRatchet.ts";
import { crypto, fromHex, wireVectors } from "./parties.ts";

const vectors = wireVectors<{
  chain: { chain_key: string; seed: string; no_salt: { cipher: string; mac: string; iv: string } }[];
  next_chain_key: string;
  root_step: { root_key: string; our_private: string; their_public: string; new_root: string; chain_key: string };
}>("kdf");

describe("wire vectors", () => {
  test("chain steps, seeds and message keys", () => {
    expect(vectors.chain.length).toBeGreaterThan(2);
    vectors.chain.forEach(({ chain_key, seed, no_salt }, i) => {
      expect(toHex(messageSeed(crypto, fromHex(chain_key)))).toBe(seed);
      expect(toHex(nextChainKey(crypto, fromHex(chain_key)))).toBe(vectors.chain[i + 1]?.chain_key ?? vectors.next_chain_key);
      runStep((secrets) => {
        const { cipherKey, macKey, iv } = messageKeys(crypto, secrets, fromHex(seed));
        expect([cipherKey, macKey, iv].map(toHex)).toEqual([no_salt.cipher, no_salt.mac, no_salt.iv]);
      });
    });
  });

  test("root step", () => {
    const { root_key, our_private, their_public, new_root, chain_key } = vectors.root_step;
    const result = runStep((secrets) => rootStep(crypto, secrets, fromHex(root_key), fromHex(our_private), fromHex(their_public)));
    expect([result.rootKey, result.chainKey].map(toHex)).toEqual([new_root, chain_key]);
  });
});

describe("runStep", () => {
  const secret = (): Uint8Array => new Uint8Array(32).fill(7);
  const zero = new Uint8Array(32);

  test("wipes what passes and leaves what is kept", () => {
    const [passing, kept, both] = [secret(), secret(), secret()];
    const step = (secrets: StepSecrets): string => {
      secrets.passing(passing);
      secrets.keep(kept);
      secrets.passing(secrets.keep(both));
      expect(passing).toEqual(secret());
      return "done";
    };
    expect(runStep(step)).toBe("done");
    expect([passing, kept, both]).toEqual([zero, secret(), zero]);
  });

  test("wipes everything on a throw, and passes the throw on", () => {
    const [passing, kept] = [secret(), secret()];
    expect(() =>
      runStep((secrets) => {
        secrets.passing(passing);
        secrets.keep(kept);
        throw new RangeError("stop");
      }),
    ).toThrow(RangeError);
    expect([passing, kept]).toEqual([zero, zero]);
  });
});
