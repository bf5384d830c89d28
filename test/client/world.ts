/**
 * What the client's scenarios share: people on one network, what they hear, and what is written in the envelopes they make.
 * Everything goes through public subpaths.
 */
import { createClient, MiyuError, type Client, type ClientEvent, type ClientOptions, type Message, type Undecryptable } from "miyu";
import { decodePreKeySignalMessage, decodeSignalMessage } from "miyu/protocol";
import { memoryMedium, memoryStore, type MemoryMedium } from "miyu/store/memory";
import { memoryNetwork, type MemoryAdapter, type MemoryAdapterOptions, type MemoryNetwork, type NetworkFaults } from "miyu/transport/memory";
import { seededRandom, type SeededRandom } from "../support/random.ts";

export const DAY = 24 * 60 * 60 * 1000;

/** Everything a client told, as one consumer hears it. */
export interface Ears {
  readonly events: ClientEvent[];
  readonly messages: Message[];
  readonly undecryptable: Undecryptable[];
  texts(): (string | undefined)[];
  /** Resolves as soon as `holds` does; looked at after every event and every few milliseconds. */
  until(what: string, holds: () => boolean | Promise<boolean>): Promise<void>;
  kinds(kind: ClientEvent["kind"]): ClientEvent[];
}

/** Listens until the client closes. */
export function listen(client: Client): Ears {
  const events: ClientEvent[] = [];
  const ears: Ears = {
    events,
    get messages() {
      return events.filter((event) => event.kind === "message");
    },
    get undecryptable() {
      return events.filter((event) => event.kind === "undecryptable");
    },
    texts: () => ears.messages.map((message) => message.text),
    until,
    kinds: (kind) => events.filter((event) => event.kind === kind),
  };
  void (async () => {
    for await (const event of client.events()) events.push(event);
  })();
  return ears;
}

/** Resolves as soon as `holds` does. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const start = Date.now(); !(await holds()); ) {
    if (Date.now() - start > 40_000) throw new Error(`never came true: ${what}`);
    await pause(3);
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The code of a rejection; throws if there was none. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (MiyuError.is(error)) return error.code;
    throw error;
  }
  throw new Error("it did not reject");
}

/** One open client with its parts. */
export interface Person {
  readonly client: Client;
  readonly adapter: MemoryAdapter;
  readonly medium: MemoryMedium;
}

/** People on one network, replayable from a seed. */
export interface World {
  readonly random: SeededRandom;
  readonly network: MemoryNetwork;
  /** Added to the clock of everyone. */
  clock: { ahead: number };
  /** Opens a client of `user` that the transport serves. */
  join(user: string, options?: Joining): Promise<Person>;
  /** Opens any client; closed with the world. */
  open(options: ClientOptions): Promise<Client>;
  close(): Promise<void>;
}

export interface Joining extends Partial<Omit<ClientOptions, "user" | "adapter">> {
  readonly medium?: MemoryMedium;
  readonly network?: MemoryAdapterOptions;
}

export function world(seed: number, faults?: Partial<NetworkFaults>): World {
  const random = seededRandom(seed);
  const clock = { ahead: 0 };
  const now = (): number => Date.now() + clock.ahead;
  const network = memoryNetwork({ random: () => random.u32() / 2 ** 32, now, ...(faults !== undefined && { faults }) });
  const clients: Client[] = [];
  const open = async (options: ClientOptions): Promise<Client> => {
    const client = await createClient({ random: (length) => random.bytes(length), now, ...options });
    clients.push(client);
    return client;
  };
  return {
    random,
    network,
    clock,
    open,
    async join(user, { medium = memoryMedium(), network: adapterOptions, ...options } = {}) {
      const adapter = network.adapter(user, adapterOptions);
      return { client: await open({ user, adapter, store: memoryStore({ medium }), ...options }), adapter, medium };
    },
    async close() {
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}

/** A copy of everything a medium holds: a cloned disk. */
export function cloneMedium(medium: MemoryMedium): MemoryMedium {
  const clone = memoryMedium();
  for (const [key, value] of medium.records) clone.records.set(key, value.slice());
  for (const [key, value] of medium.keys) clone.keys.set(key, value.slice());
  return clone;
}

/** Slots of an envelope (docs/protocol.md §3): the message key each used is named by ratchet key and counter. */
export function slotsOf(envelope: Uint8Array): { readonly key: string; readonly kind: "preKey" | "signal"; readonly oneTimePreKeyId: number | undefined }[] {
  const view = new DataView(envelope.buffer, envelope.byteOffset, envelope.byteLength);
  const slots = [];
  let at = 68;
  for (let left = view.getUint16(66); left > 0; left--) {
    const kind = view.getUint8(at + 8) === 3 ? "preKey" : "signal";
    const length = view.getUint16(at + 9);
    const message = envelope.slice(at + 11, at + 11 + length);
    const first = kind === "preKey" ? decodePreKeySignalMessage(message) : undefined;
    const inner = first?.message ?? decodeSignalMessage(message);
    slots.push({ key: `${inner.ratchetKey.join()}/${String(inner.counter)}`, kind, oneTimePreKeyId: first?.oneTimePreKeyId } as const);
    at += 11 + length;
  }
  return slots;
}

/** Message keys used by envelopes, one for each slot. */
export function messageKeysOf(envelopes: readonly Uint8Array[]): string[] {
  return envelopes.flatMap((envelope) => slotsOf(envelope).map((slot) => slot.key));
}
