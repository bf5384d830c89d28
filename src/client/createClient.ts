/**
 * Puts a client together from its parts and starts it. What depends on the platform (default store, default primitives, source of
 * randomness) comes in as `Platform`, so this file runs anywhere.
 */
import { toHex, utf8, wipe, type Bytes } from "../bytes.ts";
import type { Crypto, Random } from "../crypto/types.ts";
import { misuse } from "../envelope/fields.ts";
import { toText } from "../envelope/text.ts";
import { MiyuError } from "../errors.ts";
import type { Protection, RawStore } from "../store/types.ts";
import { openVault, type Vault } from "../store/vault.ts";
import type { Directory, Transport, UserId } from "../transport/types.ts";
import { closeAccount, openAccount, type OwnAccount } from "./account.ts";
import type { Context } from "./context.ts";
import { checkOpen, onAbort } from "./stopping.ts";
import { closingDirectory } from "./directory.ts";
import { eventHub } from "./events.ts";
import { clockHolds } from "./clock.ts";
import { openGate } from "./gate.ts";
import { listConversations, readHistory } from "./history.ts";
import { announceKeyChange, keyExchange } from "./keyExchange.ts";
import { storageName } from "./naming.ts";
import { opener } from "./opening.ts";
import { pendingKeys } from "./peers.ts";
import { preKeyKeeper } from "./preKeyStock.ts";
import { receiver } from "./receiving.ts";
import { checkUser, encrypt, send } from "./sending.ts";
import type { Client, ClientOptions, Policy } from "./types.ts";

/** What differs between platforms. */
export interface Platform {
  /** The default primitives. */
  selectCrypto(): Promise<Crypto>;
  /** The default store, under the name of the user's database. @throws {MiyuError} ERR_USAGE if an option is missing */
  openStore(options: { readonly name: string; readonly dataDir?: string }): Promise<RawStore>;
  /** The platform's `getRandomValues`. */
  readonly random: Random;
}

const DEFAULT_POLICY: Policy = { suites: ["x3dh"], fence: "require", archiveDays: 90, archiveMessages: 1_000 };
/** How often prekeys and archive are looked after while the client is open. */
const MAINTENANCE_INTERVAL = 60 * 60 * 1000;
/** Pauses before maintenance that failed (no connection, most likely) is tried again: doubled from the first to the last. */
const FIRST_RETRY = 5_000;
const LAST_RETRY = 5 * 60 * 1000;
/** Control frames are small and may be lost: the asker asks again. */
const CONTROL_KEY_LENGTH = 16;

/** Opens or creates the account in the store and starts a client on it. @throws {MiyuError} ERR_USAGE and those of store and restore */
export async function createClientOn(platform: Platform, options: ClientOptions): Promise<Client> {
  const policy = policyOf(options);
  const { user } = options;
  const crypto = await (options.crypto ?? platform.selectCrypto());
  const random = options.random ?? platform.random;
  const transport = options.adapter?.transport;
  const published = options.directory ?? options.adapter?.directory;
  const raw = await (options.store ?? platform.openStore({ name: storageName(crypto, user), ...(options.dataDir !== undefined && { dataDir: options.dataDir }) }));
  const closing = new AbortController();
  let store: Vault | undefined;
  try {
    store = await openVault(raw, crypto, random);
    const account = await openOrRestore(crypto, random, store, options, published);
    const context: Context = {
      account,
      crypto,
      random,
      now: wholeMilliseconds(options.now ?? Date.now),
      store,
      policy,
      keepPlaintext: options.archive ?? true,
      transport,
      directory: published && closingDirectory(closing.signal, published),
      sendControl: controlSender({ transport, post: options.post, random }),
      events: eventHub(),
      hints: new Map(),
      closing: closing.signal,
    };
    return await start(context, { closing, protection: store.protection, closeStore: () => (store ?? raw).close() });
  } catch (error) {
    closing.abort();
    await (store ?? raw).close().catch(() => undefined);
    await transport?.close?.().catch(() => undefined);
    throw error;
  }
}

function openOrRestore(crypto: Crypto, random: Random, store: Vault, { user, restore }: ClientOptions, directory: Directory | undefined): Promise<OwnAccount> {
  return openAccount(crypto, store, user, {
    restored: restore !== undefined,
    async make() {
      // Once in the life of a device, so not loaded with every start.
      const { makeAccount } = await loaded(import("./newAccount.ts"));
      if (restore === undefined) return makeAccount(crypto, random, user, undefined);
      const { readBeginning } = await loaded(import("./accountFiles.ts"));
      const beginning = await readBeginning(crypto, user, restore, directory);
      try {
        return makeAccount(crypto, random, user, beginning);
      } finally {
        wipe(beginning.accountPrivateKey);
      }
    },
  });
}

/** A clock as everything here may rely on: whole milliseconds, not before 1970. */
function wholeMilliseconds(now: () => number): () => number {
  return () => {
    const at = Math.floor(now());
    return at > 0 && Number.isSafeInteger(at) ? at : 0;
  };
}

function policyOf(options: ClientOptions): Policy {
  const { adapter, directory, post, user } = options;
  checkUser(user);
  if (adapter !== undefined && post !== undefined) throw misuse("post is for clients without an adapter");
  if (adapter !== undefined && adapter.transport.self !== user) throw misuse("the adapter belongs to another user");
  if (adapter === undefined && directory === undefined && post === undefined) throw misuse("give an adapter, a directory, or post");
  const policy = { ...DEFAULT_POLICY, ...options.policy };
  // Unknown suites are refused, never ignored: an app that asks for more than this release has must learn of it.
  const suites: readonly string[] = policy.suites;
  if (suites.length === 0 || suites.some((suite) => suite !== "x3dh")) throw misuse("suites: this release has x3dh");
  const fences: readonly string[] = ["require", "prefer"];
  if (!fences.includes(policy.fence)) throw misuse("fence is require or prefer");
  for (const amount of [policy.archiveDays, policy.archiveMessages]) if (!(amount >= 0)) throw misuse("archive limits are not negative");
  return Object.freeze(policy);
}

/** A part that not every client needs. @throws {MiyuError} ERR_TRANSPORT_UNAVAILABLE if it cannot be loaded now */
function loaded<T>(part: Promise<T>): Promise<T> {
  return part.catch((cause: unknown) => {
    throw new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "a part of the library could not be loaded" }, { cause });
  });
}

interface ControlRoute {
  readonly transport: Transport | undefined;
  readonly post: ClientOptions["post"];
  readonly random: Random;
}

function controlSender({ transport, post, random }: ControlRoute): Context["sendControl"] {
  if (transport !== undefined) {
    return async (to, frame) => {
      const body = transport.caps.payload === "text" ? utf8(toText(frame)) : frame;
      await transport.send({ dest: { kind: "user", user: to }, body, class: "control", key: toHex(random(CONTROL_KEY_LENGTH)) });
    };
  }
  if (post === undefined) return undefined;
  return async (to: UserId, frame: Bytes) => {
    await post(to, toText(frame));
  };
}

interface Ending {
  readonly closing: AbortController;
  readonly protection: Protection;
  closeStore(): Promise<void>;
}

async function start(context: Context, { closing, protection, closeStore }: Ending): Promise<Client> {
  const { account, crypto, store, policy, transport, events } = context;
  const keeper = preKeyKeeper(context);
  const keys = keyExchange(context, () => keeper.ownRecord());
  const announced = (): Promise<void> => keeper.announced();
  // What this client's situation does not call for is not loaded.
  const gate = context.directory?.fence === undefined ? openGate(announced) : (await loaded(import("./fence.ts"))).fenceGate(context, announced);
  const upkeep = maintenance(context, async () => {
    const clockIsSure = await clockHolds(store, context.now());
    if (clockIsSure && (await listConversations(store)).some(({ messages }) => messages > policy.archiveMessages)) {
      await (await import("./pruning.ts")).pruneArchive(store, policy, context.now());
    }
    await keeper.maintain(clockIsSure);
  });
  const incoming = receiver(context, keys, opener(context, keys), { preKeyUsed: upkeep.soon, ownListBehind: upkeep.soon });
  const outbox = transport === undefined ? undefined : (await loaded(import("./outbox.ts"))).outbox({ context, transport, keys, gate });
  await incoming.redeliver();
  for (const [user, key] of await pendingKeys(store)) announceKeyChange(context, user, key);
  // Without a connection the prekeys are made all the same; they are published as soon as there is one.
  const published = upkeep.run();
  if (transport === undefined) await published;
  let connections = 0;
  const stopListening = connect();

  function connect(): () => void {
    if (transport === undefined) return () => undefined;
    transport.attach?.(account.device);
    const stopState = transport.onState?.((state) => {
      events.push({ kind: "connection", id: `connection/${String(++connections)}`, state });
      if (state === "offline") gate.renew();
      else {
        outbox?.wake();
        upkeep.soon();
      }
    });
    const stopFrames = incoming.listen(transport);
    outbox?.wake();
    return () => {
      stopFrames();
      stopState?.();
    };
  }

  let ended: Promise<void> | undefined;
  const running = new Set<Promise<unknown>>();
  /** Runs a call of the app, and lets `close` wait for it. */
  function call<T>(work: () => Promise<T>): Promise<T> {
    const task = (async () => {
      checkOpen(context);
      return work();
    })();
    running.add(task);
    const forget = (): boolean => running.delete(task);
    task.then(forget, forget);
    return task;
  }

  async function end(): Promise<void> {
    closing.abort();
    stopListening();
    events.close();
    await Promise.allSettled([transport?.close?.()]);
    await Promise.allSettled([...running, upkeep.stopped(), incoming.stopped(), outbox?.stopped()]);
    try {
      await closeStore();
    } finally {
      closeAccount(account);
    }
  }

  return Object.freeze<Client>({
    user: account.user,
    device: account.device,
    crypto: Object.freeze({ name: crypto.name }),
    protection,
    policy,
    encrypt: (to, content, options) => call(() => encrypt(context, keys, gate, to, content, options)),
    decrypt: (input, options) => call(() => incoming.decrypt(input, options)),
    send: (to, content, options) =>
      call(() => {
        if (transport === undefined || outbox === undefined) throw misuse("send needs an adapter; without one use encrypt");
        return send(context, transport, outbox, to, content, options);
      }),
    events(options) {
      checkOpen(context);
      return events.iterate(options?.signal);
    },
    history: (query) => call(() => readHistory(store, query)),
    conversations: () => call(() => listConversations(store)),
    safetyNumber: (user) => call(async () => (await loaded(import("./trust.ts"))).safetyNumber(context, keys, user)),
    trust: (user, number) =>
      call(async () => {
        await (await loaded(import("./trust.ts"))).trust(context, user, number);
        outbox?.wake();
      }),
    exportAccount: (passphrase) => call(async () => (await loaded(import("./accountFiles.ts"))).exportAccount(context, passphrase)),
    describe: () => call(async () => (await loaded(import("./describe.ts"))).describeClient(context, protection, gate)),
    close: () => (ended ??= end()),
  });
}

/** Runs `work` now, every hour, and when asked, one at a time; where it failed, soon again. */
function maintenance({ closing }: Context, work: () => Promise<void>): { run(): Promise<void>; soon(): void; stopped(): Promise<void> } {
  let running: Promise<void> | undefined;
  let again = false;
  let retry = FIRST_RETRY;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function schedule(ms: number): void {
    clearTimeout(timer);
    if (closing.aborted) return;
    timer = setTimeout(() => void run(), ms);
    // Node: a client that nobody waits for must not keep the program alive.
    if (typeof timer === "object" && "unref" in timer) (timer as { unref(): void }).unref();
  }

  function run(): Promise<void> {
    if (running !== undefined) {
      again = true;
      return running;
    }
    clearTimeout(timer);
    running = work()
      .then(
        () => {
          retry = FIRST_RETRY;
          return MAINTENANCE_INTERVAL;
        },
        () => {
          const wait = retry;
          retry = Math.min(LAST_RETRY, 2 * retry);
          return wait;
        },
      )
      .then((pauseFor) => {
        running = undefined;
        schedule(again ? 0 : pauseFor);
        again = false;
      });
    return running;
  }

  onAbort(closing, () => {
    clearTimeout(timer);
  });
  return {
    run,
    soon() {
      if (!closing.aborted) void run();
    },
    async stopped() {
      await running;
    },
  };
}

