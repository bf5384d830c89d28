// One peer in a process of its own: `node peerChild.mjs PEER PROVIDER [--quick]`, the results over the parent's channel.
import process from "node:process";
import { measureClient } from "./client.mjs";
import { gate, repeatGated } from "./gate.mjs";
import { batchFor, limitsFor, measureDriver } from "./measures.mjs";
import { findPeer } from "./peers.mjs";

const [, , peer, provider] = process.argv;
const quick = process.argv.includes("--quick");
const driver = await findPeer(peer, provider).driver();
await driver.load();

const report = (measure, { median, dirty }) => {
  process.stderr.write(`  ${measure.padEnd(16)} ${median.toFixed(1).padStart(10)}${dirty ? " (noisy)" : ""}\n`);
};
const { results, ...counts } = await measureDriver(driver, { quick, report });
if (peer === "miyu") {
  for (const [measure, result] of Object.entries(await measureClient(provider, limitsFor(quick)))) {
    results[measure] = result;
    report(measure, result);
  }
}

/** What libsodium's X25519 takes here: the yardstick of the goals. */
async function x25519() {
  const sodium = (await import("libsodium-wrappers")).default;
  await sodium.ready;
  const privateKey = sodium.randombytes_buf(32);
  const publicKey = sodium.crypto_scalarmult_base(sodium.randombytes_buf(32));
  const multiply = async (count) => {
    const stop = gate();
    for (let i = 0; i < count; i++) sodium.crypto_scalarmult(privateKey, publicKey);
    return stop();
  };
  const batch = await batchFor(multiply);
  const { stats } = await repeatGated(async () => {
    const { ms, quiet } = await multiply(batch);
    return { quiet, values: { x25519: (ms * 1000) / batch } };
  }, limitsFor(quick));
  return stats.x25519;
}

process.send?.({ results, ...counts, ...(provider === "sodium" && { x25519: await x25519() }) });
process.disconnect?.();
