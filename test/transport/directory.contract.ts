/** What every directory with one-time prekeys and fences promises. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { toBase64url, utf8 } from "../../src/bytes.ts";
import type { Directory, Fence, UserId } from "../../src/transport/types.ts";
import type { SeededRandom } from "../support/random.ts";
import { codeOf } from "./transport.contract.ts";

/** One directory, seen by several users. */
export interface DirectoryWorld {
  as(user: UserId): Promise<Directory>;
  close(): Promise<void>;
}

/** Runs the contract. `claimsPerClaimer`: how many claims of one device one user may make. */
export function directoryContract(name: string, makeWorld: () => Promise<DirectoryWorld>, random: SeededRandom, claimsPerClaimer = Infinity): void {
  describe(`${name} directory`, () => {
    let world: DirectoryWorld;
    beforeEach(async () => {
      world = await makeWorld();
    });
    afterEach(async () => {
      await world.close();
    });

    test("a record is read by all and replaced only by who saw the last version", async () => {
      const [alice, bob] = [await world.as("alice"), await world.as("bob / 鲍勃")];
      expect(await bob.read("alice")).toBeUndefined();
      expect(await alice.publish(utf8("wrong"), "made up")).toBeUndefined();
      const first = await alice.publish(utf8("first"), null);
      expect(first).toBeTypeOf("string");
      expect(await bob.read("alice")).toEqual({ record: utf8("first"), version: first });
      expect(await alice.publish(utf8("again"), null)).toBeUndefined();
      const second = await alice.publish(utf8("second"), first ?? "");
      expect(second).not.toBe(first);
      expect(await alice.publish(utf8("late"), first ?? "")).toBeUndefined();
      expect(await bob.read("alice")).toEqual({ record: utf8("second"), version: second });
      expect(await bob.read("bob / 鲍勃")).toBeUndefined();
      expect(await bob.publish(new Uint8Array(), null)).toBeTypeOf("string");
      expect((await alice.read("bob / 鲍勃"))?.record).toEqual(new Uint8Array());
    });

    test("of writers with the same version one wins", async () => {
      const alice = await world.as("alice");
      const results = await Promise.all(Array.from({ length: 8 }, (_, i) => alice.publish(utf8(String(i)), null)));
      const winners = results.flatMap((version, i) => (version === undefined ? [] : [String(i)]));
      expect(winners).toHaveLength(1);
      expect((await alice.read("alice"))?.record).toEqual(utf8(winners[0] ?? ""));
    });

    test("each one-time prekey is handed out once", async () => {
      const [alice, device] = [await world.as("alice"), toBase64url(random.bytes(16))];
      const keys = Array.from({ length: 30 }, () => random.bytes(36));
      expect(await alice.stock?.(device, [])).toBe(0);
      expect(await alice.stock?.(device, keys.slice(0, 20))).toBe(20);
      expect(await alice.stock?.(device, keys.slice(20))).toBe(30);
      const claimers = await Promise.all(Array.from({ length: 20 }, (_, i) => world.as(`claimer ${String(i)}`)));
      const perClaimer = Math.min(2, claimsPerClaimer);
      const claims = await Promise.all(claimers.flatMap((one) => Array.from({ length: perClaimer }, async () => one.claim?.("alice", device))));
      const handedOut = claims.flatMap((key) => (key === undefined ? [] : [toBase64url(key)]));
      expect(handedOut).toHaveLength(Math.min(30, 20 * perClaimer));
      expect(new Set(handedOut).size).toBe(handedOut.length);
      expect(handedOut.every((key) => keys.some((one) => toBase64url(one) === key))).toBe(true);
      expect(await alice.stock?.(device, [])).toBe(30 - handedOut.length);
      expect(await claimers[0]?.claim?.("alice", toBase64url(random.bytes(16)))).toBeUndefined();
    });

    test("a fence is moved only by who holds it", async () => {
      const [alice, bob, device] = [await world.as("alice"), await world.as("bob"), toBase64url(random.bytes(16))];
      const fence = (epoch: number): Fence => ({ epoch, nonce: toBase64url(random.bytes(16)) });
      const [one, two, three] = [fence(1), fence(2), fence(3)];
      expect(await alice.fence?.(device, null, one)).toBe(true);
      expect(await alice.fence?.(device, null, one)).toBe(true);
      expect(await alice.fence?.(device, null, two)).toBe(false);
      expect(await alice.fence?.(device, { ...one, nonce: two.nonce }, two)).toBe(false);
      const race = await Promise.all([alice.fence?.(device, one, two), alice.fence?.(device, one, three)]);
      expect(race.filter((granted) => granted === true)).toHaveLength(1);
      expect(await bob.fence?.(device, null, one)).toBe(true);
    });

    test("a directory that forgot a fence, or went back to an older one, grants it to who is ahead", async () => {
      const [alice, device] = [await world.as("alice"), toBase64url(random.bytes(16))];
      const fence = (epoch: number): Fence => ({ epoch, nonce: toBase64url(random.bytes(16)) });
      expect(await alice.fence?.(device, fence(6), fence(7))).toBe(true);
      expect(await alice.fence?.(device, fence(8), fence(9))).toBe(true);
      expect(await alice.fence?.(device, fence(8), fence(9))).toBe(false);
    });

    test("too large a record is refused and nothing changes", async () => {
      const alice = await world.as("alice");
      expect(await codeOf(alice.publish(new Uint8Array(alice.caps.maxRecord + 1), null))).toBe("ERR_TOO_LARGE");
      expect(await alice.read("alice")).toBeUndefined();
      expect(await alice.publish(new Uint8Array(alice.caps.maxRecord), null)).toBeTypeOf("string");
    });

    test("an aborted signal refuses", async () => {
      const alice = await world.as("alice");
      expect(await codeOf(alice.read("alice", { signal: AbortSignal.abort() }))).toBe("ERR_ABORTED");
    });
  });
}
