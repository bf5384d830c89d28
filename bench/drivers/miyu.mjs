// Miyu's protocol core as it is built, without client, vault or envelope. A session is kept as bytes: every call reads the record,
// takes one step, writes the parts that changed and wipes what was spent.
import { TEXT_BYTES } from "../measures.mjs";

/** Any fixed time, milliseconds since 1970. */
const NOW = 1_700_000_000_000;

const random = (length) => globalThis.crypto.getRandomValues(new Uint8Array(length));

/** @param {"sodium" | "noble"} provider @returns {import("../measures.mjs").Driver} */
export function miyu(provider) {
  let protocol;
  let crypto;
  let ids = 0;

  const read = (parts) => protocol.decodeSessionRecord(parts.get("main"), { parts: (names) => names.map((name) => parts.get(name)) });

  const commit = (user, peer, step) => {
    let parts = user.sessions.get(peer.name);
    if (!parts) user.sessions.set(peer.name, (parts = new Map()));
    const before = read(parts);
    const { state, output, spent } = step(before);
    const { main, write, remove } = protocol.encodeSessionRecord(state, before);
    for (const name of remove) parts.delete(name);
    for (const [name, bytes] of write) parts.set(name, bytes);
    parts.set("main", main);
    for (const secret of spent) secret.fill(0);
    return output;
  };

  return {
    async load() {
      protocol = await import("miyu/protocol");
      crypto = provider === "noble" ? (await import("miyu/crypto/noble")).nobleCrypto : await (await import("miyu/crypto/sodium")).sodiumCrypto();
    },
    async user(name) {
      const preKeys = new Map();
      const seen = new Set();
      const source = {
        signedPreKey: (id) => preKeys.has(`signed ${id}`) ? protocol.decodeSignedPreKey(preKeys.get(`signed ${id}`)).keyPair : undefined,
        oneTimePreKey: (id) => preKeys.has(`one-time ${id}`) ? protocol.decodeOneTimePreKey(preKeys.get(`one-time ${id}`)).keyPair : undefined,
        seenBaseKey: (id, baseKey) => seen.has(`${id} ${baseKey.join(",")}`),
      };
      return { name, local: { identityKeyPair: protocol.generateKeyPair(crypto, random), registrationId: 5 }, preKeys, seen, source, sessions: new Map() };
    },
    async bundle({ local, preKeys }) {
      const id = ++ids;
      const signed = protocol.generateSignedPreKey(crypto, random, local.identityKeyPair, id, NOW);
      const [oneTime] = protocol.generateOneTimePreKeys(crypto, random, id, 1);
      preKeys.set(`signed ${id}`, protocol.encodeSignedPreKey(signed));
      preKeys.set(`one-time ${id}`, protocol.encodeOneTimePreKey(oneTime));
      return {
        registrationId: local.registrationId,
        identityKey: local.identityKeyPair.publicKey,
        signedPreKey: { id, publicKey: signed.keyPair.publicKey, signature: signed.signature },
        oneTimePreKey: { id, publicKey: oneTime.keyPair.publicKey },
      };
    },
    async start(from, to, bundle) {
      const verified = protocol.verifyPreKeyBundle(crypto, bundle);
      commit(from, to, (record) => protocol.initiateSession(crypto, random, record, from.local, verified, NOW));
    },
    async encrypt(from, to) {
      return commit(from, to, (record) => protocol.encryptMessage(crypto, record, TEXT_BYTES, NOW));
    },
    async decrypt(to, from, { kind, message }) {
      if (kind === "signal") return commit(to, from, (record) => protocol.decryptSignalMessage(crypto, random, record, message)).plaintext;
      const { local, source, preKeys, seen } = to;
      const opened = commit(to, from, (record) => protocol.decryptPreKeySignalMessage(crypto, random, record, local, source, message));
      if (opened.established) seen.add(`${opened.signedPreKeyId} ${opened.baseKey.join(",")}`);
      if (opened.oneTimePreKeyId !== undefined) preKeys.delete(`one-time ${opened.oneTimePreKeyId}`);
      return opened.plaintext;
    },
    stateBytes: (user, peer) => [...user.sessions.get(peer.name).values()].reduce((sum, { length }) => sum + length, 0),
  };
}
