// Who is measured. Peers are development dependencies and used through their public API only.

/**
 * `provider` says where the primitives come from: Miyu's two providers, or the peer's own.
 * @type {readonly { peer: string, provider: string, driver: () => Promise<import("./measures.mjs").Driver> }[]}
 */
export const PEERS = [
  { peer: "miyu", provider: "sodium", driver: async () => (await import("./drivers/miyu.mjs")).miyu("sodium") },
  { peer: "miyu", provider: "noble", driver: async () => (await import("./drivers/miyu.mjs")).miyu("noble") },
  { peer: "libsignal-npm", provider: "own", driver: async () => (await import("./drivers/libsignalNpm.mjs")).libsignalNpm() },
  { peer: "privacyresearch", provider: "own", driver: async () => (await import("./drivers/privacyresearch.mjs")).privacyresearch() },
  { peer: "olm", provider: "own", driver: async () => (await import("./drivers/olm.mjs")).olm() },
];

/** @param {string | undefined} peer @param {string | undefined} provider */
export function findPeer(peer, provider) {
  const found = PEERS.find((entry) => entry.peer === peer && entry.provider === provider);
  if (!found) throw new Error(`no peer ${peer} ${provider}`);
  return found;
}
