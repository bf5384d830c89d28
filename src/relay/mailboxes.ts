/**
 * A mailbox per device, with a sequence of its own. A send becomes one row in every mailbox it is for, the sender's idempotency key
 * and the new counters, all in one batch; it is accepted when that batch is on the disk. Rows leave by acknowledgement only.
 */
import { concat, fromUtf8, Reader, toBase64url, u64be, utf8 } from "../bytes.ts";
import type { Random } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import { encodeParcel, ID_LENGTH, idBytes, type RelayDest } from "../transport/relayFrames.ts";
import type { DeviceId, FrameClass, UserId } from "../transport/types.ts";
import { keys } from "./keys.ts";
import type { RelayLimits } from "./limits.ts";
import type { Change, RelayStorage } from "./storage.ts";

/** A send, as a connection hands it over. */
export interface Posting {
  readonly from: UserId;
  readonly device: DeviceId;
  readonly key: string;
  readonly dest: RelayDest;
  readonly class: FrameClass;
  readonly body: Uint8Array;
}

/** The mailboxes of one relay. */
export interface Mailboxes {
  /**
   * Makes sure the device has a mailbox and returns its id. The user's first device gets what waited for one.
   * @throws {MiyuError} ERR_TRANSPORT_REJECTED if the user has too many devices
   */
  register(user: UserId, device: DeviceId): Promise<string>;
  /** Forgets a device: mailbox, messages, idempotency keys. Resolves false if there is none. */
  remove(user: UserId, device: DeviceId): Promise<boolean>;
  /**
   * Stores a message for every device it is for and resolves when it is on the disk. The same key of the same device gives the same answer.
   * @throws {MiyuError} ERR_TRANSPORT_UNAVAILABLE (a mailbox is full), ERR_TRANSPORT_REJECTED (no such device)
   */
  post(posting: Posting, at: number): Promise<{ readonly id: string; readonly at: number }>;
  /** Messages of a device after a sequence, oldest first. */
  next(user: UserId, device: DeviceId, after: number, limit: number): Promise<{ readonly sequence: number; readonly parcel: Uint8Array }[]>;
  /** Removes messages; sequences that are not there are ignored. */
  acknowledge(user: UserId, device: DeviceId, sequences: readonly number[]): Promise<void>;
}

interface Mailbox {
  readonly id: Uint8Array;
  readonly user: UserId;
  device: DeviceId | undefined;
  /** Whether the binding row is on the disk. */
  bound: boolean;
  next: number;
  /** Sizes of messages by sequence, reserved ones included. */
  readonly sizes: Map<number, number>;
  bytes: number;
  /** Idempotency keys, oldest first, with what was answered. */
  readonly accepted: Map<string, { readonly order: number; readonly id: string; readonly at: number }>;
  readonly pending: Map<string, Promise<{ readonly id: string; readonly at: number }>>;
  order: number;
}

const PAGE = 512;
const FULL_RETRY_MS = 60_000;

/** Reads what a storage holds and returns its mailboxes. `stored` is told of every device that has something new. */
export async function openMailboxes(storage: RelayStorage, limits: RelayLimits, random: Random, stored: (user: UserId, device: DeviceId) => void): Promise<Mailboxes> {
  const users = new Map<UserId, Mailbox[]>();
  let waitingUsers = 0;

  const boxesOf = (user: UserId): readonly Mailbox[] => users.get(user) ?? [];
  const find = (user: UserId, device: DeviceId): Mailbox | undefined => boxesOf(user).find((one) => one.device === device);

  function add(id: Uint8Array, user: UserId, device: DeviceId | undefined, bound: boolean): Mailbox {
    const fresh: Mailbox = { id, user, device, bound, next: 1, sizes: new Map(), bytes: 0, accepted: new Map(), pending: new Map(), order: 0 };
    users.set(user, [...boxesOf(user), fresh]);
    if (device === undefined) waitingUsers++;
    return fresh;
  }

  function drop(box: Mailbox): void {
    const left = boxesOf(box.user).filter((one) => one !== box);
    if (left.length === 0) users.delete(box.user);
    else users.set(box.user, left);
  }

  /** The rows that say whose mailbox this is. */
  function bindingOf(box: Mailbox): Change[] {
    if (box.bound) return [];
    const bind = { key: keys.binding(box.user, box.device), value: box.id };
    return box.device === undefined ? [bind] : [bind, { key: keys.binding(box.user, undefined), value: undefined }];
  }

  async function* allRows(prefix: Uint8Array): AsyncGenerator<{ readonly key: Uint8Array; readonly value: Uint8Array }> {
    let after: Uint8Array | undefined;
    for (;;) {
      const page = await storage.rows(prefix, { limit: PAGE, ...(after === undefined ? {} : { after }) });
      yield* page;
      if (page.length < PAGE) return;
      after = page.at(-1)?.key;
    }
  }

  async function load(): Promise<void> {
    for await (const { key, value } of allRows(keys.bindings)) {
      const reader = new Reader(key.subarray(1), "relay binding");
      const user = reader.text();
      const device = reader.u8() === 0 ? undefined : toBase64url(reader.bytes(ID_LENGTH));
      add(value, user, device, true);
    }
    for (const box of [...users.values()].flat()) {
      const next = await storage.get(keys.sequence(box.id));
      if (next !== undefined) box.next = new Reader(next, "relay sequence").u64();
      for await (const { key, value } of allRows(keys.messages(box.id))) {
        box.sizes.set(new Reader(key.subarray(1 + ID_LENGTH), "relay message").u64(), value.length);
        box.bytes += value.length;
      }
      for await (const { key, value } of allRows(keys.accepted(box.id))) {
        const order = new Reader(key.subarray(1 + ID_LENGTH), "relay key").u64();
        const reader = new Reader(value, "relay key");
        const [id, at] = [toBase64url(reader.bytes(ID_LENGTH)), reader.u64()];
        box.accepted.set(fromUtf8(reader.rest()), { order, id, at });
        box.order = order + 1;
      }
    }
  }

  function targetsOf({ from, device, dest }: Posting): Mailbox[] {
    if (dest.kind === "device") {
      const target = find(dest.user, dest.device);
      if (target === undefined) throw new MiyuError("ERR_TRANSPORT_REJECTED", { reason: "no such device" });
      return [target];
    }
    const own = boxesOf(from).filter((one) => one.device !== device);
    if (dest.user === from) return own;
    const theirs = boxesOf(dest.user);
    if (theirs.length > 0) return [...theirs, ...own];
    if (waitingUsers >= limits.waitingUsers) throw new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "too many users without a device", retryAfterMs: FULL_RETRY_MS });
    return [add(random(ID_LENGTH), dest.user, undefined, false), ...own];
  }

  /** Reserves a sequence and room in `box`; the opposite call gives the room back. */
  function reserve(box: Mailbox, size: number): { readonly sequence: number; readonly release: () => void } {
    const sequence = box.next++;
    box.sizes.set(sequence, size);
    box.bytes += size;
    return {
      sequence,
      release() {
        if (box.sizes.delete(sequence)) box.bytes -= size;
      },
    };
  }

  /** The idempotency row of a post, and the removal of the oldest ones above the limit. */
  function rememberKey(sender: Mailbox, key: string, answer: { readonly id: string; readonly at: number }): Change[] {
    const order = sender.order++;
    const changes: Change[] = [{ key: keys.acceptedKey(sender.id, order), value: concat(idBytes(answer.id), u64be(answer.at), utf8(key)) }];
    for (const [old, { order: oldOrder }] of sender.accepted) {
      if (sender.accepted.size < limits.keys) break;
      sender.accepted.delete(old);
      changes.push({ key: keys.acceptedKey(sender.id, oldOrder), value: undefined });
    }
    sender.accepted.set(key, { order, ...answer });
    return changes;
  }

  async function store(posting: Posting, sender: Mailbox, at: number): Promise<{ readonly id: string; readonly at: number }> {
    const answer = { id: toBase64url(random(ID_LENGTH)), at };
    const parcel = encodeParcel({ ...answer, class: posting.class, from: posting.from, to: posting.dest.user, body: posting.body });
    const targets = targetsOf(posting);
    for (const box of targets) {
      if (box.sizes.size >= limits.mailboxMessages || box.bytes + parcel.length > limits.mailboxBytes) {
        throw new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "mailbox full", retryAfterMs: FULL_RETRY_MS });
      }
    }
    const reserved = targets.map((box) => ({ box, ...reserve(box, parcel.length) }));
    const changes = reserved.flatMap(({ box, sequence }): Change[] => [
      ...bindingOf(box),
      { key: keys.sequence(box.id), value: u64be(box.next) },
      { key: keys.message(box.id, sequence), value: parcel },
    ]);
    try {
      await storage.write([...changes, ...bindingOf(sender), ...rememberKey(sender, posting.key, answer)]);
    } catch (cause) {
      for (const { release } of reserved) release();
      sender.accepted.delete(posting.key);
      throw cause;
    }
    sender.bound = true;
    for (const box of targets) {
      box.bound = true;
      if (box.device !== undefined) stored(box.user, box.device);
    }
    return answer;
  }

  await load();
  return {
    async register(user, device) {
      const own = boxesOf(user);
      let box = find(user, device);
      if (box === undefined) {
        if (own.filter((one) => one.device !== undefined).length >= limits.devices) throw new MiyuError("ERR_TRANSPORT_REJECTED", { reason: "too many devices" });
        box = own.find((one) => one.device === undefined);
        if (box === undefined) box = add(random(ID_LENGTH), user, device, false);
        else {
          Object.assign(box, { device, bound: false });
          waitingUsers--;
        }
      }
      const changes = bindingOf(box);
      if (changes.length > 0) await storage.write(changes);
      box.bound = true;
      return toBase64url(box.id);
    },
    async remove(user, device) {
      const box = find(user, device);
      if (box === undefined) return false;
      drop(box);
      const changes: Change[] = [
        { key: keys.binding(user, device), value: undefined },
        { key: keys.sequence(box.id), value: undefined },
        ...[...box.sizes.keys()].map((sequence) => ({ key: keys.message(box.id, sequence), value: undefined })),
        ...[...box.accepted.values()].map(({ order }) => ({ key: keys.acceptedKey(box.id, order), value: undefined })),
      ];
      await storage.write(changes);
      return true;
    },
    async post(posting, at) {
      const sender = find(posting.from, posting.device);
      if (sender === undefined) throw new MiyuError("ERR_TRANSPORT_REJECTED", { reason: "no such device" });
      const pending = sender.pending.get(posting.key);
      if (pending !== undefined) return pending;
      const before = sender.accepted.get(posting.key);
      if (before !== undefined) return { id: before.id, at: before.at };
      const storing = store(posting, sender, at).finally(() => sender.pending.delete(posting.key));
      sender.pending.set(posting.key, storing);
      return storing;
    },
    async next(user, device, after, limit) {
      const box = find(user, device);
      if (box === undefined) return [];
      const found = await storage.rows(keys.messages(box.id), { after: keys.message(box.id, after), limit });
      return found.map(({ key, value }) => ({ sequence: new Reader(key.subarray(1 + ID_LENGTH), "relay message").u64(), parcel: value }));
    },
    async acknowledge(user, device, sequences) {
      const box = find(user, device);
      const sizes = new Map(sequences.flatMap((sequence) => [[sequence, box?.sizes.get(sequence)] as const]));
      const changes: Change[] = [];
      for (const [sequence, size] of sizes) {
        if (box === undefined || size === undefined) continue;
        box.sizes.delete(sequence);
        box.bytes -= size;
        changes.push({ key: keys.message(box.id, sequence), value: undefined });
      }
      if (changes.length > 0) await storage.write(changes);
    },
  };
}
