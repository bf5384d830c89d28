/**
 * What is known of another user: the pinned account key with its newest accepted list, and a key that came in its place and waits for
 * the user's word. Lists only get here after their signatures were checked; what may follow what is `acceptDeviceList`'s to say.
 */
import { concat, lp32, Reader, u32be, u64be, type Bytes } from "../bytes.ts";
import type { Crypto } from "../crypto/types.ts";
import { acceptDeviceList, type DeviceList } from "../envelope/deviceList.ts";
import type { Store, StoreView } from "../store/types.ts";
import type { UserId } from "../transport/types.ts";
import { decodeKnownList, encodeKnownList, findDevice, knownListOf, type KnownDevice, type KnownList } from "./deviceLists.ts";
import { RECORDS } from "./naming.ts";
import type { Trust } from "./types.ts";

const VERSION = 1;

/** Another user. */
export interface Peer {
  /** Trusted on first use, or by comparison. */
  readonly pinned: KnownList;
  readonly verified: boolean;
  /** A list under another account key. While it is there, nothing is sent. */
  readonly pending: KnownList | undefined;
  /** Highest epoch of the pinned account's lists that the peer's messages have named: above `pinned.epoch`, the list is read again before sending. */
  readonly namedEpoch: number;
  /** When the list was last read, milliseconds since 1970. */
  readonly checkedAt: number;
}

/** The peer's record, if there is one. It must be named. */
export function getPeer(view: StoreView, user: UserId): Peer | undefined {
  const bytes = view.get(RECORDS.peer(user));
  return bytes === undefined ? undefined : decodePeer(bytes);
}

function decodePeer(bytes: Uint8Array): Peer {
  const reader = new Reader(bytes, "peer");
  reader.schema(VERSION);
  const flags = reader.u8();
  const checkedAt = reader.u64();
  const namedEpoch = reader.u32();
  const pinned = decodeKnownList(reader.lp32());
  const pending = (flags & 2) === 0 ? undefined : decodeKnownList(reader.lp32());
  reader.end();
  return { pinned, verified: (flags & 1) !== 0, namedEpoch, pending, checkedAt };
}

/** Whether the peer is known to have a newer list than the pinned one. */
export function isBehind({ pinned, namedEpoch }: Peer): boolean {
  return namedEpoch > pinned.epoch;
}

/** Stores the peer's record. It must be named. */
export function putPeer(view: StoreView, user: UserId, peer: Peer): void {
  const flags = (peer.verified ? 1 : 0) | (peer.pending === undefined ? 0 : 2);
  const pending: Bytes[] = peer.pending === undefined ? [] : [lp32(encodeKnownList(peer.pending))];
  view.put(RECORDS.peer(user), concat(Uint8Array.of(VERSION, flags), u64be(peer.checkedAt), u32be(peer.namedEpoch), lp32(encodeKnownList(peer.pinned)), ...pending));
}

/** The peer after a verified list was read for it, and whether its account key is a new one to the user. */
export interface Observation {
  readonly peer: Peer;
  readonly keyChanged: boolean;
}

/**
 * What reading `list` makes of `peer`. The pinned key is only ever replaced by `trust`.
 * @throws {MiyuError} ERR_DEVICE_LIST
 */
export function observeList(crypto: Crypto, peer: Peer | undefined, list: DeviceList, user: UserId, now: number): Observation {
  if (peer === undefined) {
    acceptDeviceList(crypto, undefined, list, user);
    return { peer: { pinned: knownListOf(list), verified: false, pending: undefined, namedEpoch: list.epoch, checkedAt: now }, keyChanged: false };
  }
  if (crypto.equal(peer.pinned.accountKey, list.accountKey)) {
    acceptDeviceList(crypto, peer.pinned, list, user);
    // The trusted key is in use again: there is nothing to decide any more.
    return { peer: { ...peer, pinned: knownListOf(list), pending: undefined, checkedAt: now }, keyChanged: false };
  }
  const samePending = peer.pending !== undefined && crypto.equal(peer.pending.accountKey, list.accountKey);
  acceptDeviceList(crypto, samePending ? peer.pending : undefined, list, user);
  return { peer: { ...peer, pending: knownListOf(list), checkedAt: now }, keyChanged: !samePending };
}

/** A device of the peer by either list, and what its messages are worth. */
export function findPeerDevice(peer: Peer | undefined, device: Uint8Array): { readonly entry: KnownDevice; readonly trust: Trust } | undefined {
  if (peer === undefined) return undefined;
  const pinned = findDevice(peer.pinned, device);
  // While another key is pending even the pinned one's messages are marked: the user has something to decide.
  if (pinned !== undefined) return { entry: pinned, trust: peer.pending !== undefined ? "changed" : peer.verified ? "verified" : "first-use" };
  const pending = findDevice(peer.pending, device);
  return pending === undefined ? undefined : { entry: pending, trust: "changed" };
}

/** Users whose key changed and waits for a decision, with that key. A snapshot. */
export async function pendingKeys(store: Store): Promise<readonly (readonly [UserId, Bytes])[]> {
  const rows = await store.list("peer");
  return rows.flatMap(({ id, value }) => {
    const { pending } = decodePeer(value);
    return pending === undefined ? [] : [[id, pending.accountKey] as const];
  });
}
