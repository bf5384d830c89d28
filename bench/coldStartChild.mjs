// A fresh process up to its first message: library imported and ready, identities, prekeys, session, ciphertext.
// `node coldStartChild.mjs PEER PROVIDER`; Node's own start is not counted.
import process from "node:process";
import { waitedForProcessor } from "./gate.mjs";
import { findPeer } from "./peers.mjs";

const [, , peer, provider] = process.argv;
const { driver: open } = findPeer(peer, provider);
const waited = waitedForProcessor();
const begun = performance.now();

const driver = await open();
await driver.load();
const alice = await driver.user("alice");
const bob = await driver.user("bob");
await driver.start(alice, bob, await driver.bundle(bob));
await driver.encrypt(alice, bob);

const ms = performance.now() - begun;
process.send?.({ us: ms * 1000, waiting: (waitedForProcessor() - waited) / ms });
process.disconnect?.();
