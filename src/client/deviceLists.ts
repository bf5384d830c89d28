/**
 * Device lists as they are kept once their signatures were checked: without signatures, so reading one costs no arithmetic.
 */
import { compare, concat, lp, Reader, u16be, u32be, utf8, type Bytes } from "../bytes.ts";
import { SUITES, type DeviceList } from "../envelope/deviceList.ts";
import { MiyuError } from "../errors.ts";

const VERSION = 1;

/** A device of an accepted list. */
export interface KnownDevice {
  /** 16 bytes. */
  readonly device: Bytes;
  /** 33 bytes. */
  readonly identityKey: Bytes;
  readonly suites: number;
}

/** An accepted list. */
export interface KnownList {
  readonly user: string;
  /** 33 bytes. */
  readonly accountKey: Bytes;
  readonly epoch: number;
  /** 32 bytes. */
  readonly hash: Bytes;
  readonly devices: readonly KnownDevice[];
  readonly removed: readonly Bytes[];
}

/** What is kept of a verified list. */
export function knownListOf(list: DeviceList): KnownList {
  const { user, accountKey, epoch, hash, devices, removed } = list;
  return { user, accountKey, epoch, hash, devices: devices.map(({ device, identityKey, suites }) => ({ device, identityKey, suites })), removed };
}

/** The entry of `device` (16 bytes), if it is on the list. */
export function findDevice(list: Pick<KnownList, "devices"> | undefined, device: Uint8Array): KnownDevice | undefined {
  return list?.devices.find((entry) => compare(entry.device, device) === 0);
}

/** Refuses a device that speaks a newer suite than the classic one: it never gets nor opens version 3. @throws {MiyuError} ERR_DOWNGRADE */
export function requireClassic(entry: KnownDevice): void {
  if ((entry.suites & SUITES.x3dh) === 0 || (entry.suites & SUITES.pqxdh) !== 0) throw new MiyuError("ERR_DOWNGRADE");
}

/** Known list to bytes. */
export function encodeKnownList(list: KnownList): Bytes {
  return concat(
    Uint8Array.of(VERSION),
    lp(utf8(list.user)),
    list.accountKey,
    u32be(list.epoch),
    list.hash,
    u16be(list.devices.length),
    ...list.devices.flatMap((entry) => [entry.device, entry.identityKey, Uint8Array.of(entry.suites)]),
    u16be(list.removed.length),
    ...list.removed,
  );
}

/** Opposite of {@link encodeKnownList}. @throws {MiyuError} ERR_DECODE, ERR_SCHEMA */
export function decodeKnownList(bytes: Uint8Array): KnownList {
  const reader = new Reader(bytes, "known device list");
  reader.schema(VERSION);
  const user = reader.text();
  const accountKey = reader.bytes(33);
  const epoch = reader.u32();
  const hash = reader.bytes(32);
  const devices = Array.from({ length: reader.u16() }, () => ({ device: reader.bytes(16), identityKey: reader.bytes(33), suites: reader.u8() }));
  const removed = Array.from({ length: reader.u16() }, () => reader.bytes(16));
  reader.end();
  return { user, accountKey, epoch, hash, devices, removed };
}
