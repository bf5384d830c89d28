/**
 * The own prekeys: making, storing, publishing, rotating and refilling them. Private keys are durable before a public key leaves.
 * Signed prekeys change every 7 days and are kept 30 more, never fewer than the last 5; one-time prekeys are kept at up to 100 where the
 * directory hands each out once, and refilled below 25 (`refill.ts`).
 */
import { wipe, type Bytes } from "../bytes.ts";
import { signBundle, type DeviceBundle } from "../envelope/bundle.ts";
import { decodeSignedPreKey, encodeSignedPreKey, generateSignedPreKey, type SignedPreKey } from "../protocol/preKeys.ts";
import type { Directory } from "../transport/types.ts";
import { getOwnList, noteListPublished } from "./account.ts";
import type { Context } from "./context.ts";
import { ownDirectoryRecord } from "./keyExchange.ts";
import { RECORDS } from "./naming.ts";
import { getStock, putStock } from "./preKeyRecord.ts";
import type { Publication } from "./publishing.ts";

const DAY = 24 * 60 * 60 * 1000;
/** Days a signed prekey is published, and days it is kept in all. */
const ROTATE_AFTER = 7 * DAY;
const KEEP_FOR = 37 * DAY;
const KEEP_AT_LEAST = 5;
/** One-time prekeys in stock, below which more are made. */
const LOW_STOCK = 25;

/** Keeps the published keys fresh. */
export interface PreKeyKeeper {
  /**
   * Rotates, publishes and refills what is due, and removes what expired if `mayRemove`: not where the clock may be wrong.
   * @throws {MiyuError} ERR_TRANSPORT_UNAVAILABLE and the store's; ERR_DEVICE_LIST if this device was removed from its account
   */
  maintain(mayRemove: boolean): Promise<void>;
  /** Resolves once the directory has had the own list, publishing it if need be: before, nobody can check what this device sends. */
  announced(): Promise<void>;
  /** The own directory record, freshly signed, for a peer that asks. */
  ownRecord(): Promise<Bytes>;
}

/** Makes a keeper. */
export function preKeyKeeper(context: Context): PreKeyKeeper {
  const { account, crypto, random, store } = context;
  let known = context.directory === undefined;
  let publishing: Promise<void> | undefined;
  let toldRemoved = false;

  async function bundle(): Promise<DeviceBundle> {
    const { id, keyPair, signature, createdAt } = await currentSignedPreKey();
    const signedPreKey = { id, publicKey: keyPair.publicKey, signature };
    wipe(keyPair.privateKey);
    const { local, user, deviceBytes: device } = account;
    return signBundle(crypto, random, local.identityKeyPair.privateKey, { user, device, registrationId: local.registrationId, signedPreKey, createdAt });
  }

  function currentSignedPreKey(): Promise<SignedPreKey> {
    const now = context.now();
    return store.transact([RECORDS.preKeyStock], (view) => {
      const stock = getStock(view);
      const newest = stock.signed.at(-1);
      // A clock set back by more than the period makes a new key as well: nothing old is published for ever.
      if (newest !== undefined && Math.abs(now - newest.createdAt) < ROTATE_AFTER) {
        view.need(RECORDS.signedPreKey(newest.id));
        const bytes = view.get(RECORDS.signedPreKey(newest.id));
        if (bytes !== undefined) {
          const kept = decodeSignedPreKey(bytes);
          wipe(bytes);
          return kept;
        }
      }
      const key = RECORDS.signedPreKey(stock.nextSigned);
      // Before the key is made: a run that starts over would leave its secret behind.
      view.need(key);
      const fresh = generateSignedPreKey(crypto, random, account.local.identityKeyPair, stock.nextSigned, now);
      view.put(key, encodeSignedPreKey(fresh));
      putStock(view, { ...stock, nextSigned: fresh.id + 1, signed: [...stock.signed, { id: fresh.id, createdAt: now }] });
      return fresh;
    });
  }

  /** Removes signed prekeys that are past their time, with the base keys remembered for them. */
  async function removeExpired(): Promise<void> {
    const now = context.now();
    const expired = await store.transact([RECORDS.preKeyStock], (view) => {
      const { signed } = getStock(view);
      return signed.slice(0, Math.max(0, signed.length - KEEP_AT_LEAST)).filter(({ createdAt }) => now - createdAt > KEEP_FOR);
    });
    if (expired.length > 0) await (await import("./expiry.ts")).removeSignedPreKeys(store, expired);
  }

  /** Publishes what the directory does not have, one at a time. */
  function publish(directory: Directory): Promise<void> {
    publishing ??= (async () => {
      const part = await import("./publishing.ts");
      await part.publishRecord(publication, directory, await bundle());
    })().finally(() => {
      publishing = undefined;
    });
    return publishing;
  }

  const publication: Publication = {
    context,
    async done(signed) {
      await store.transact([RECORDS.ownList], (view) => noteListPublished(view, signed));
      known = true;
    },
    removed() {
      if (!toldRemoved) context.events.push({ kind: "device-removed", id: `device-removed/${account.device}` });
      toldRemoved = true;
    },
  };

  async function refillIfLow(directory: Directory): Promise<void> {
    const { stock, claim, caps } = directory;
    if (!caps.oneTime || stock === undefined || claim === undefined) return;
    const inStock = await directory.stock?.(account.device, []);
    if (inStock === undefined || inStock >= LOW_STOCK) return;
    await (await import("./refill.ts")).refill(context, directory, inStock);
  }

  return {
    async maintain(mayRemove) {
      wipe((await currentSignedPreKey()).keyPair.privateKey);
      if (mayRemove) await removeExpired();
      if (context.directory === undefined) return;
      await publish(context.directory);
      await refillIfLow(context.directory);
    },
    async announced() {
      if (known || context.directory === undefined) return;
      if ((await store.transact([RECORDS.ownList], getOwnList)).published) known = true;
      else await publish(context.directory);
    },
    async ownRecord() {
      const { signed } = await store.transact([RECORDS.ownList], getOwnList);
      return ownDirectoryRecord(signed, await bundle());
    },
  };
}
