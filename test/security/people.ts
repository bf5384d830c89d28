/**
 * People for the attacks: real clients over stores in memory that can be looked at byte for byte, and the directory between them.
 * Envelopes are carried by hand, so an attack decides what arrives, when, and under whose name.
 */
import { createClient, type Client, type ClientEvent, type ClientOptions, type Directory, type Opened, type Sealed } from "miyu";
import { memoryMedium, memoryStore, type MemoryMedium } from "miyu/store/memory";
import { memoryNetwork } from "miyu/transport/memory";
import { onTestFinished } from "vitest";
import { toHex } from "../../src/bytes.ts";
import { sodiumCrypto } from "../../src/crypto/sodium.ts";
import type { Crypto } from "../../src/crypto/types.ts";
import { MiyuError } from "../../src/errors.ts";
import { openVault, type Vault } from "../../src/store/vault.ts";
import type { SeededRandom } from "../support/random.ts";

/** The fast provider; where an attack is on the arithmetic itself, its file runs both. */
export const crypto: Crypto = await sodiumCrypto();

/** A point in time, in milliseconds. */
export const NOW = 1_760_000_000_000;

/** One user's device with its open store. */
export interface Person {
  readonly user: string;
  readonly client: Client;
  readonly medium: MemoryMedium;
  /** What it was told, in order. */
  readonly events: ClientEvent[];
}

/** A world of its own: one directory, one clock. */
export class World {
  readonly random: SeededRandom;
  readonly #network = memoryNetwork();
  now = NOW;

  constructor(random: SeededRandom) {
    this.random = random;
  }

  /** The directory as `user` sees it. */
  directory(user: string): Required<Directory> {
    const { directory } = this.#network.adapter(user);
    if (directory === undefined) throw new Error("no directory");
    return directory;
  }

  /** A client without an adapter; closed when the test ends. */
  async join(user: string, options: Partial<ClientOptions> & { readonly medium?: MemoryMedium } = {}): Promise<Person> {
    const { medium = memoryMedium(), ...rest } = options;
    const directory = this.directory(user);
    const client = await createClient({ user, directory, store: memoryStore({ medium }), crypto, random: this.random.bytes, now: () => this.now, ...rest });
    onTestFinished(() => client.close());
    const events: ClientEvent[] = [];
    void (async () => {
      for await (const event of client.events()) events.push(event);
    })();
    const person = { user, client, medium, events };
    await settled(person);
    return person;
  }

  /** Two people who have written to each other: both sessions are confirmed. */
  async friends(one = "alice", other = "bob"): Promise<readonly [alice: Person, bob: Person]> {
    const [alice, bob] = [await this.join(one), await this.join(other)];
    await say(alice, bob, "hello");
    await say(bob, alice, "hello yourself");
    await settled(alice, bob);
    return [alice, bob];
  }
}

/** Seals at one end. */
export const seal = (from: Person, to: Person | string, text: string): Promise<Sealed> => from.client.encrypt(typeof to === "string" ? to : to.user, text);

/** Opens at the other, under the name the server gives. */
export const open = (at: Person, from: Person | string, body: Uint8Array | string): Promise<Opened> =>
  at.client.decrypt({ from: typeof from === "string" ? from : from.user, body });

/** Seals and opens. */
export async function say(from: Person, to: Person, text: string): Promise<Opened> {
  return open(to, from, (await seal(from, to, text)).body);
}

/** Everything in a person's store, byte for byte. */
export function contents({ medium }: Person): string {
  return [...medium.records].map(([key, value]) => `${key} ${toHex(value)}`).sort().join("\n");
}

/** Waits until nothing is written any more: upkeep runs beside the calls of the app. */
export async function settled(...people: readonly Person[]): Promise<void> {
  let before = "";
  for (let quiet = 0; quiet < 10; quiet++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    const now = people.map(contents).join("\n\n");
    if (now !== before) quiet = 0;
    before = now;
  }
}

/** What an attempt came to, without what differs from message to message. */
export function outcome(opened: Opened): string {
  return opened.kind === "undecryptable" ? `${opened.cause}, ${opened.remedy}` : opened.kind;
}

/**
 * What a person's store says: every record byte for byte, but for those about peers, which are compared opened, because a message from a
 * device nobody knows has its user's list read again and the same facts written anew.
 */
export async function stateOf(person: Person): Promise<string> {
  await settled(person);
  const peers = await inside(person, (vault) => vault.list("peer"));
  const others = contents(person).split("\n").filter((line) => !line.startsWith("03"));
  return [...others, ...peers.map(({ id, value }) => `${id} ${toHex(value)}`)].join("\n");
}

/** Runs an attack on `victim` and returns its outcome; nothing may have been stored. */
export async function attack(victim: Person, from: Person | string, body: Uint8Array | string): Promise<string> {
  const before = await stateOf(victim);
  const opened = await open(victim, from, body);
  if ((await stateOf(victim)) !== before) throw new Error(`the attack came to "${outcome(opened)}" and something was stored`);
  return outcome(opened);
}

/** The code of a rejection; undefined if there is none. */
export async function rejection(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (MiyuError.is(error)) return error.code;
    throw error;
  }
}

/** Looks into a person's store, or changes it, as who holds the device key can. */
export async function inside<T>(person: Person, look: (vault: Vault) => Promise<T>): Promise<T> {
  const vault = await openVault(memoryStore({ medium: person.medium }), crypto, (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)));
  try {
    return await look(vault);
  } finally {
    await vault.close();
  }
}
