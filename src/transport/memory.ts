/**
 * A hostile network in memory: users, devices, mailboxes and a directory, with faults at rates of your choice. For tests and demos.
 * There are no timers: a run depends on the `random` it is given and on the order of calls, so a seed replays it.
 */
import { copy, toBase64url } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import { memoryDirectory, type DirectoryTables } from "./memoryDirectory.ts";
import { deliveryQueue, stateSource, untilAborted, type DeliveryQueue, type StateSource } from "./delivery.ts";
import type { Adapter, DeviceId, Directory, FrameClass, InFrame, OutFrame, Sent, Transport, TransportCaps, UserId } from "./types.ts";

/** Chances from 0 to 1, drawn anew for every frame (`drop`) or every copy of one (all others). */
export interface NetworkFaults {
  /** The send fails with ERR_TRANSPORT_UNAVAILABLE: half of the time the frame was lost, half of the time only the answer was. */
  readonly drop: number;
  /** The frame was accepted and never arrives. */
  readonly lose: number;
  /** It arrives twice. */
  readonly duplicate: number;
  /** It overtakes frames that still wait. */
  readonly reorder: number;
  /** It arrives only after up to five later frames, or at {@link MemoryNetwork.release}. */
  readonly delay: number;
  /** Its end is cut off. */
  readonly truncate: number;
  /** One bit is flipped. */
  readonly corrupt: number;
  /** The sending device gets its own frame back. */
  readonly echo: number;
  /** An older frame of the same device is delivered again, marked as history. */
  readonly history: number;
}

/** What {@link memoryNetwork} takes. */
export interface MemoryNetworkOptions {
  /** Numbers from 0 (inclusive) to 1 (exclusive). Default: `Math.random`. */
  readonly random?: () => number;
  /** Faults to begin with. Default: none. */
  readonly faults?: Partial<NetworkFaults>;
  /** The server's clock, milliseconds. Default: `Date.now`. */
  readonly now?: () => number;
}

/** How one device sees the network. */
export interface MemoryAdapterOptions {
  /** Device id, where the client does not name one by `attach`. */
  readonly device?: DeviceId;
  /** Differences from: bytes, 1 MiB, users and devices, copies to other devices, durable, keys honoured. */
  readonly caps?: Partial<TransportCaps>;
  /** Whether it has the directory. Default: true. */
  readonly directory?: boolean;
}

/** An adapter of {@link memoryNetwork}, with its cable. */
export interface MemoryAdapter extends Adapter {
  readonly transport: Transport & Required<Pick<Transport, "attach" | "close">>;
  readonly directory?: Required<Directory>;
  /** Pulls the cable: nothing arrives, sends wait. */
  offline(): void;
  /** Puts it back: what was not acknowledged arrives again. */
  online(): void;
}

/** What the network saw of one frame. */
export interface Tap {
  readonly at: number;
  readonly from: UserId;
  readonly device: DeviceId;
  readonly to: UserId;
  /** The device whose mailbox it went to; undefined while the user has none, or if it was dropped. */
  readonly toDevice?: DeviceId;
  readonly class: FrameClass;
  /** A copy of the bytes that will arrive. */
  readonly body: Uint8Array;
  /** What was done to it. */
  readonly faults: readonly (keyof NetworkFaults)[];
}

/** A network with its switches. */
export interface MemoryNetwork {
  /** Connects a device of `user`. Each call is another device, unless `device` names the same one again. */
  adapter(user: UserId, options?: MemoryAdapterOptions): MemoryAdapter;
  /** Changes fault rates from now on; rates not named stay. */
  setFaults(faults: Partial<NetworkFaults>): void;
  /** Lets every delayed frame go. */
  release(): void;
  /** Resolves when every online device has taken what it can take now. Delayed frames stay. */
  settled(): Promise<void>;
  /** Calls `on` for every copy of every frame. Returns the opposite call. */
  tap(on: (tap: Tap) => void): () => void;
  /** Frames in the mailbox of a device: not delivered or not acknowledged. */
  waiting(user: UserId, device: DeviceId): number;
}

interface Stored {
  readonly frame: Omit<InFrame, "ack">;
  state: "stored" | "offered";
}

interface Mailbox {
  readonly user: UserId;
  device: DeviceId | undefined;
  rows: Stored[];
  past: Omit<InFrame, "ack">[];
  online: boolean;
  queue: DeliveryQueue | undefined;
}

const NO_FAULTS: NetworkFaults = { drop: 0, lose: 0, duplicate: 0, reorder: 0, delay: 0, truncate: 0, corrupt: 0, echo: 0, history: 0 };
const CAPS: TransportCaps = {
  payload: "bytes",
  maxPayload: 1 << 20,
  dests: ["user", "device"],
  ownCopy: "other-devices",
  offline: "durable",
  order: "per-sender",
  idempotentSend: true,
};
const MAX_DELAY = 5;
/** Pauses before a frame whose subscriber failed is offered again. */
const RETRY_MS = [1, 10];

/** Makes a network of its own: nothing is shared between two of them. */
export function memoryNetwork(options: MemoryNetworkOptions = {}): MemoryNetwork {
  const random = options.random ?? Math.random;
  const now = options.now ?? Date.now;
  let faults: NetworkFaults = { ...NO_FAULTS, ...options.faults };
  const mailboxes: Mailbox[] = [];
  const accepted = new Map<string, Sent>();
  const taps = new Set<(tap: Tap) => void>();
  const tables: DirectoryTables = { records: new Map(), stock: new Map(), fences: new Map(), watchers: new Map(), versions: 0 };
  let delayed: { left: number; readonly go: () => void }[] = [];
  let sends = 0;

  const hits = (fault: keyof NetworkFaults): boolean => faults[fault] > 0 && random() < faults[fault];
  const below = (limit: number): number => Math.floor(random() * limit);

  /** The mailbox of a device; its user's waiting frames become the first device's. */
  function mailboxOf(user: UserId, device: DeviceId | undefined): Mailbox {
    const own = mailboxes.find((one) => one.user === user && one.device === device);
    if (own !== undefined) return own;
    const unclaimed = device === undefined ? undefined : mailboxes.find((one) => one.user === user && one.device === undefined);
    if (unclaimed !== undefined) {
      unclaimed.device = device;
      return unclaimed;
    }
    const fresh: Mailbox = { user, device, rows: [], past: [], online: false, queue: undefined };
    mailboxes.push(fresh);
    return fresh;
  }

  /** Forgets a device that is not connected. */
  function removeMailbox(user: UserId, device: DeviceId): void {
    const at = mailboxes.findIndex((one) => one.user === user && one.device === device && one.queue === undefined);
    if (at >= 0) mailboxes.splice(at, 1);
  }

  function targetsOf(frame: OutFrame, self: UserId, device: DeviceId): Mailbox[] {
    const { dest } = frame;
    if (dest.kind === "device") return mailboxes.filter((one) => one.user === dest.user && one.device === dest.device);
    if (dest.kind !== "user") return [];
    const devices = mailboxes.filter((one) => (one.user === dest.user || one.user === self) && !(one.user === self && one.device === device));
    return devices.some((one) => one.user === dest.user) || dest.user === self ? devices : [...devices, mailboxOf(dest.user, undefined)];
  }

  function deliver(mailbox: Mailbox): void {
    const { queue } = mailbox;
    if (!mailbox.online || queue === undefined) return;
    for (const row of mailbox.rows) {
      if (row.state === "offered") continue;
      row.state = "offered";
      const ack = (): void => {
        mailbox.rows = mailbox.rows.filter((one) => one !== row);
      };
      void queue.push({ ...row.frame, body: copy(row.frame.body), ack });
    }
  }

  function store(mailbox: Mailbox, frame: Omit<InFrame, "ack">, overtake: boolean): void {
    const row: Stored = { frame, state: "stored" };
    const first = mailbox.rows.findIndex((one) => one.state === "stored");
    if (overtake && first >= 0) mailbox.rows.splice(first + below(mailbox.rows.length - first), 0, row);
    else mailbox.rows.push(row);
    mailbox.past.push(frame);
    deliver(mailbox);
  }

  function damaged(body: Uint8Array, done: (keyof NetworkFaults)[]): Uint8Array {
    const out = copy(body);
    if (out.length > 0 && hits("corrupt")) {
      const at = below(out.length);
      out[at] = (out[at] ?? 0) ^ (1 << below(8));
      done.push("corrupt");
    }
    if (out.length > 0 && hits("truncate")) {
      done.push("truncate");
      return out.slice(0, below(out.length));
    }
    return out;
  }

  /** Puts one copy of a frame into one mailbox, as badly as the faults say. */
  function post(mailbox: Mailbox, frame: OutFrame, origin: { user: UserId; device: DeviceId; sent: Sent }, extra: readonly (keyof NetworkFaults)[]): void {
    const done = [...extra];
    const to = frame.dest.kind === "user" || frame.dest.kind === "device" ? frame.dest.user : "";
    const lost = hits("lose");
    if (lost) done.push("lose");
    const incoming: Omit<InFrame, "ack"> = {
      from: origin.user,
      conversation: { kind: "direct", peer: mailbox.user === origin.user ? to : origin.user },
      body: damaged(frame.body, done),
      ...origin.sent,
      ...(mailbox.user !== origin.user ? {} : { replay: mailbox.device === origin.device ? "echo" : "own-device" }),
    };
    const overtake = hits("reorder");
    if (overtake) done.push("reorder");
    const late = hits("delay");
    if (late) done.push("delay");
    const seen: Tap = {
      at: now(),
      from: origin.user,
      device: origin.device,
      to,
      ...(mailbox.device === undefined ? {} : { toDevice: mailbox.device }),
      class: frame.class,
      body: copy(incoming.body),
      faults: done,
    };
    for (const tap of [...taps]) tap(seen);
    if (lost) return;
    if (late) delayed.push({ left: 1 + below(MAX_DELAY), go: () => { store(mailbox, incoming, overtake); } });
    else store(mailbox, incoming, overtake);
    const again = hits("history") ? mailbox.past[below(mailbox.past.length)] : undefined;
    if (again !== undefined) mailbox.rows.push({ frame: { ...again, replay: "history" }, state: "stored" });
    deliver(mailbox);
  }

  function accept(frame: OutFrame, user: UserId, device: DeviceId, dedup: boolean): Sent {
    const key = JSON.stringify([user, device, frame.key]);
    const before = dedup ? accepted.get(key) : undefined;
    if (before !== undefined) return before;
    const early = delayed;
    for (const one of early) one.left--;
    delayed = early.filter((one) => one.left > 0);
    const sent: Sent = { id: `m${String(++sends)}`, at: now() };
    accepted.set(key, sent);
    const origin = { user, device, sent };
    for (const mailbox of targetsOf(frame, user, device)) {
      post(mailbox, frame, origin, []);
      if (hits("duplicate")) post(mailbox, frame, origin, ["duplicate"]);
    }
    if (hits("echo")) post(mailboxOf(user, device), frame, origin, ["echo"]);
    for (const one of early) if (one.left <= 0) one.go();
    return sent;
  }

  function connect(user: UserId, given: MemoryAdapterOptions): MemoryAdapter {
    const caps: TransportCaps = { ...CAPS, ...given.caps };
    const state: StateSource = stateSource("online");
    const queue = deliveryQueue(RETRY_MS);
    let device = given.device;
    let mailbox: Mailbox | undefined;
    const parked: (() => void)[] = [];
    let closed = false;

    function attach(id: DeviceId): Mailbox {
      if (mailbox !== undefined) return mailbox;
      device = id;
      mailbox = mailboxOf(user, id);
      for (const row of mailbox.rows) row.state = "stored";
      mailbox.queue?.close();
      mailbox.queue = queue;
      mailbox.online = state.present === "online";
      return mailbox;
    }
    const attached = (): Mailbox => attach(device ?? toBase64url(Uint8Array.from({ length: 16 }, () => below(256))));
    const cable = (next: "online" | "offline"): void => {
      if (closed) return;
      const own = attached();
      own.online = next === "online";
      if (own.online) for (const row of own.rows) row.state = "stored";
      state.set(next);
      wakeAll();
      deliver(own);
    };
    const wakeAll = (): void => {
      for (const wake of parked.splice(0)) wake();
    };
    async function whenOnline(signal: AbortSignal | undefined): Promise<void> {
      while (state.present === "offline") {
        await untilAborted(new Promise<void>((resolve) => void parked.push(resolve)), signal);
        if (closed) throw new MiyuError("ERR_CLOSED", { what: "transport" });
      }
    }

    return {
      transport: {
        self: user,
        caps,
        attach: (id) => void attach(id),
        async send(frame, { signal } = {}) {
          if (closed) throw new MiyuError("ERR_CLOSED", { what: "transport" });
          if (signal?.aborted === true) throw new MiyuError("ERR_ABORTED");
          if (!caps.dests.includes(frame.dest.kind)) throw new MiyuError("ERR_TRANSPORT_REJECTED", { reason: `no ${frame.dest.kind} destinations` });
          if (frame.body.length > caps.maxPayload) throw new MiyuError("ERR_TOO_LARGE", { size: frame.body.length, limit: caps.maxPayload });
          const own = { ...frame, body: copy(frame.body) };
          attached();
          await whenOnline(signal);
          const dropped = hits("drop");
          if (dropped && random() < 0.5) throw new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "dropped" });
          const sent = accept(own, user, device ?? "", caps.idempotentSend);
          if (dropped) throw new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "answer dropped" });
          return sent;
        },
        subscribe(on) {
          if (closed) throw new MiyuError("ERR_CLOSED", { what: "transport" });
          const own = attached();
          const stop = queue.subscribe(on);
          deliver(own);
          return stop;
        },
        onState: (on) => state.on(on),
        async close() {
          if (closed) return;
          closed = true;
          queue.close();
          if (mailbox?.queue === queue) Object.assign(mailbox, { online: false, queue: undefined });
          state.set("offline");
          wakeAll();
          return Promise.resolve();
        },
      },
      ...(given.directory === false ? {} : { directory: memoryDirectory(tables, user, () => state.present === "online", (device) => { removeMailbox(user, device); }) }),
      offline: () => { cable("offline"); },
      online: () => { cable("online"); },
    };
  }

  return {
    adapter: (user, given = {}) => connect(user, given),
    setFaults(next) {
      faults = { ...faults, ...next };
    },
    release() {
      const all = delayed;
      delayed = [];
      for (const one of all) one.go();
    },
    async settled() {
      const busy = (): boolean => mailboxes.some((one) => one.online && (one.queue?.size ?? 0) > 0);
      while (busy()) await new Promise((resolve) => setTimeout(resolve, 0));
    },
    tap(on) {
      const own = (tap: Tap): void => { on(tap); };
      taps.add(own);
      return () => void taps.delete(own);
    },
    waiting: (user, device) => mailboxes.find((one) => one.user === user && one.device === device)?.rows.length ?? 0,
  };
}
