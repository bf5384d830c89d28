// Miyu as an app uses it: `client.encrypt` and `client.decrypt` with envelope, padding, sealed records, archive and memory store. No peer has
// a counterpart, so it stands beside the protocol's own numbers.
import { gate, repeatGated } from "./gate.mjs";
import { batchFor, expectText, TEXT } from "./measures.mjs";

/**
 * @param {"sodium" | "noble"} provider
 * @param {{ wanted: number, maxMs: number }} limits
 * @returns {Promise<Record<"clientEncrypt" | "clientDecrypt", import("./measures.mjs").Result>>}
 */
export async function measureClient(provider, limits) {
  const { createClient } = await import("miyu");
  const { memoryStore } = await import("miyu/store/memory");
  const { memoryNetwork } = await import("miyu/transport/memory");
  const crypto = provider === "noble" ? (await import("miyu/crypto/noble")).nobleCrypto : await (await import("miyu/crypto/sodium")).sodiumCrypto();
  const network = memoryNetwork();
  const open = (user) => createClient({ user, crypto, store: memoryStore(), directory: network.adapter(user).directory });
  const alice = await open("alice");
  const bob = await open("bob");
  const read = async (by, from, { body }) => {
    const opened = await by.decrypt({ from, body });
    expectText(opened.kind === "message" ? (opened.text ?? "") : opened.kind);
  };
  // Both have answered: nobody sends prekey messages any more.
  const turn = async () => {
    await read(bob, "alice", await alice.encrypt("bob", TEXT));
    await read(alice, "bob", await bob.encrypt("alice", TEXT));
  };
  const steady = async (batch) => {
    const messages = [];
    const stop = gate();
    const begun = performance.now();
    for (let i = 0; i < batch; i++) messages.push(await alice.encrypt("bob", TEXT));
    const between = performance.now();
    for (const message of messages) await read(bob, "alice", message);
    const ended = performance.now();
    const { ms, quiet } = stop();
    await turn();
    return { ms, quiet, values: { clientEncrypt: ((between - begun) * 1000) / batch, clientDecrypt: ((ended - between) * 1000) / batch } };
  };
  await turn();
  const batch = await batchFor(steady);
  const { stats } = await repeatGated(() => steady(batch), limits);
  await Promise.all([alice.close(), bob.close()]);
  return stats;
}
