/** What a client runs on, and what is weaker than it could be, in words for an interface to show. */
import type { Protection } from "../store/types.ts";
import type { Context } from "./context.ts";
import type { Gate } from "./gate.ts";
import type { Description, Weakness } from "./types.ts";

const DEVICE_KEY: Readonly<Record<Protection, string>> = {
  "crypto-key": "the browser keeps the device key from scripts, but the disk is not encrypted by it",
  "key-record": "this browser cannot keep a CryptoKey: the device key lies beside the data",
  "key-file": "the device key is a file that only its owner may read",
  memory: "nothing is kept: the device and its messages are gone when the program ends",
};

/** See `Client.describe`. */
export function describeClient(context: Context, protection: Protection, gate: Gate): Description {
  const { account, crypto, policy, transport } = context;
  const { user, device } = account;
  return { user, device, suites: policy.suites, crypto: crypto.name, protection, transport: transport?.caps, weaker: weaknesses(context, protection, gate) };
}

function weaknesses({ directory, keepPlaintext }: Context, protection: Protection, gate: Gate): Weakness[] {
  const found: Weakness[] = [
    { what: "suite", why: "x3dh has no post-quantum key agreement: traffic recorded today could be read once large quantum computers exist" },
    { what: "device-key", why: DEVICE_KEY[protection] },
  ];
  if (directory === undefined) found.push({ what: "directory", why: "keys are asked for inside the conversation: the first message waits until the peer was online" });
  if (directory?.caps.oneTime !== true) {
    found.push({ what: "one-time-prekeys", why: "first messages use no one-time prekey: they stay readable to who gets the signed prekey within its life" });
  }
  if (gate.state === "none") found.push({ what: "fence", why: "nothing stops a copy of this device (a restored backup, a cloned profile) from sending beside it" });
  if (gate.state === "refused") found.push({ what: "fence", why: "another copy of this device is in use, or its state went back" });
  if (keepPlaintext) found.push({ what: "archive", why: "kept messages are readable to who opens this store: an archive gives up forward secrecy towards them" });
  return found;
}
