/** Safety numbers and the user's word that one is right. */
import { concat, equal, utf8 } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import { compareScannable, safetyNumber as computeSafetyNumber } from "../protocol/fingerprint.ts";
import type { UserId } from "../transport/types.ts";
import type { Context } from "./context.ts";
import type { KnownList } from "./deviceLists.ts";
import type { KeyExchange } from "./keyExchange.ts";
import { RECORDS } from "./naming.ts";
import { getPeer, putPeer, type Peer } from "./peers.ts";
import type { SafetyNumber } from "./types.ts";

/** Identifiers of docs/protocol.md: account keys and users; version 1. */
const SCANNABLE_VERSION = 1;

/** The number for the user's present key: a pending one, else the pinned one. @throws {MiyuError} as `keys.find` */
export async function safetyNumber(context: Context, keys: KeyExchange, user: UserId): Promise<SafetyNumber> {
  const known = (await readPeer(context, user)) ?? (await keys.find(user)).peer;
  // A key that waits for a decision may be gone again: what is shown is the key in use, as far as that can be read.
  const peer = known.pending === undefined ? known : await keys.find(user, { patient: false }).then((found) => found.peer, () => known);
  const trust = peer.pending !== undefined ? "changed" : peer.verified ? "verified" : "first-use";
  return { ...numberOf(context, presentList(peer)), trust };
}

/** Accepts the key that `number` belongs to. @throws {MiyuError} ERR_IDENTITY_CHANGED, ERR_NO_SESSION for a user never seen */
export async function trust(context: Context, user: UserId, number: string | Uint8Array): Promise<void> {
  const peer = await readPeer(context, user);
  if (peer === undefined) throw new MiyuError("ERR_NO_SESSION");
  const list = presentList(peer);
  if (!matches(context, numberOf(context, list), number)) throw new MiyuError("ERR_IDENTITY_CHANGED", { user });
  await context.store.transact([RECORDS.peer(user)], (view) => {
    const now = getPeer(view, user);
    // The key may have become another one while the numbers were compared.
    if (now === undefined || !equal(presentList(now).accountKey, list.accountKey)) throw new MiyuError("ERR_IDENTITY_CHANGED", { user });
    putPeer(view, user, { ...now, pinned: presentList(now), pending: undefined, verified: true, namedEpoch: now.pending === undefined ? now.namedEpoch : now.pending.epoch });
  });
}

function readPeer({ store, account }: Context, user: UserId): Promise<Peer | undefined> {
  if (user === account.user) throw new MiyuError("ERR_USAGE", { reason: "a safety number is for another user" });
  return store.transact([RECORDS.peer(user)], (view) => getPeer(view, user));
}

function presentList(peer: Peer): KnownList {
  return peer.pending ?? peer.pinned;
}

function numberOf({ account, crypto }: Context, list: KnownList): Omit<SafetyNumber, "trust"> {
  return computeSafetyNumber(crypto, {
    localKey: account.accountKeyPair.publicKey,
    localId: utf8(account.user),
    remoteKey: list.accountKey,
    remoteId: utf8(list.user),
    version: SCANNABLE_VERSION,
  });
}

function matches({ crypto }: Context, expected: Omit<SafetyNumber, "trust">, number: string | Uint8Array): boolean {
  if (typeof number === "string") return crypto.equal(utf8(expected.digits), utf8(number.replaceAll(/\s/gu, "")));
  try {
    return compareScannable(crypto, expected.scannable, concat(number));
  } catch {
    return false;
  }
}
