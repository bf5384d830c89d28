/**
 * A new device: of a new account, or of one that goes on from its key. The client loads this file the first time it runs.
 */
import { toBase64url } from "../bytes.ts";
import type { Crypto, Random } from "../crypto/types.ts";
import { proveDevice, signDeviceList, SUITES, type DeviceList } from "../envelope/deviceList.ts";
import { generateKeyPair, keyPairFromPrivate } from "../protocol/keys.ts";
import type { KeyPair } from "../protocol/types.ts";
import type { UserId } from "../transport/types.ts";
import type { Beginning, NewAccount, OwnAccount } from "./account.ts";

/** A device of a new account, or of the account of `beginning`: then its list follows the one given and removes all other devices. */
export function makeAccount(crypto: Crypto, random: Random, user: UserId, beginning: Beginning | undefined): NewAccount {
  if (beginning === undefined) {
    const account = makeDevice(crypto, random, user, generateKeyPair(crypto, random));
    return { account, list: ownDeviceList(crypto, random, account, { epoch: 1, previousHash: new Uint8Array(32), removed: [] }) };
  }
  const account = makeDevice(crypto, random, user, keyPairFromPrivate(crypto, beginning.accountPrivateKey));
  const { epoch, hash, devices, removed } = beginning.list;
  const allRemoved = [...removed, ...devices.map((entry) => entry.device)];
  return { account, list: ownDeviceList(crypto, random, account, { epoch: epoch + 1, previousHash: hash, removed: allRemoved }) };
}

function makeDevice(crypto: Crypto, random: Random, user: UserId, accountKeyPair: KeyPair): OwnAccount {
  const deviceBytes = random(16);
  const [high = 0, low = 0] = random(2);
  // 1 … 16,383: what peers of the Signal family can carry.
  const registrationId = (((high << 8) | low) & 0x3fff) || 1;
  const local = { identityKeyPair: generateKeyPair(crypto, random), registrationId };
  return { user, deviceBytes, device: toBase64url(deviceBytes), local, accountKeyPair };
}

function ownDeviceList(
  crypto: Crypto,
  random: Random,
  account: OwnAccount,
  { epoch, previousHash, removed }: { readonly epoch: number; readonly previousHash: Uint8Array; readonly removed: readonly Uint8Array[] },
): DeviceList {
  const { user, deviceBytes, local, accountKeyPair } = account;
  const proof = proveDevice(crypto, random, {
    user,
    accountKey: accountKeyPair.publicKey,
    device: deviceBytes,
    identityPrivateKey: local.identityKeyPair.privateKey,
  });
  const entry = { device: deviceBytes, identityKey: local.identityKeyPair.publicKey, suites: SUITES.x3dh, since: epoch, proof };
  return signDeviceList(crypto, random, accountKeyPair.privateKey, { user, epoch, previousHash, devices: [entry], removed });
}
