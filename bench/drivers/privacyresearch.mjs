// @privacyresearch/libsignal-protocol-typescript (X3DH, version 3; compiled C curve and WebCrypto). Its API keeps sessions as JSON text.
import { TEXT_BYTES } from "../measures.mjs";

/** @returns {import("../measures.mjs").Driver} */
export function privacyresearch() {
  let library;
  let ids = 0;
  const storage = (identity, registrationId) => {
    const kept = new Map();
    const sessions = new Map();
    return {
      sessions,
      getIdentityKeyPair: async () => identity,
      getLocalRegistrationId: async () => registrationId,
      isTrustedIdentity: async () => true,
      saveIdentity: async () => false,
      loadPreKey: async (id) => kept.get(`one-time ${id}`),
      storePreKey: async (id, pair) => void kept.set(`one-time ${id}`, pair),
      removePreKey: async (id) => void kept.delete(`one-time ${id}`),
      loadSignedPreKey: async (id) => kept.get(`signed ${id}`),
      storeSignedPreKey: async (id, pair) => void kept.set(`signed ${id}`, pair),
      removeSignedPreKey: async (id) => void kept.delete(`signed ${id}`),
      loadSession: async (address) => sessions.get(address),
      storeSession: async (address, record) => void sessions.set(address, record),
    };
  };
  const cipher = (user, peer) => new library.SessionCipher(user.store, peer.address);
  return {
    async load() {
      library = await import("@privacyresearch/libsignal-protocol-typescript");
    },
    async user(name) {
      const identity = await library.KeyHelper.generateIdentityKeyPair();
      const registrationId = library.KeyHelper.generateRegistrationId();
      return { address: new library.SignalProtocolAddress(name, 1), identity, registrationId, store: storage(identity, registrationId) };
    },
    async bundle({ identity, registrationId, store }) {
      const id = ++ids;
      const oneTime = await library.KeyHelper.generatePreKey(id);
      const signed = await library.KeyHelper.generateSignedPreKey(identity, id);
      await store.storePreKey(id, oneTime.keyPair);
      await store.storeSignedPreKey(id, signed.keyPair);
      return {
        registrationId,
        identityKey: identity.pubKey,
        signedPreKey: { keyId: id, publicKey: signed.keyPair.pubKey, signature: signed.signature },
        preKey: { keyId: id, publicKey: oneTime.keyPair.pubKey },
      };
    },
    async start(from, to, bundle) {
      await new library.SessionBuilder(from.store, to.address).processPreKey(bundle);
    },
    encrypt: (from, to) => cipher(from, to).encrypt(TEXT_BYTES.slice().buffer),
    decrypt(to, from, { type, body }) {
      return type === 3 ? cipher(to, from).decryptPreKeyWhisperMessage(body, "binary") : cipher(to, from).decryptWhisperMessage(body, "binary");
    },
    stateBytes: (user, peer) => user.store.sessions.get(peer.address.toString()).length,
  };
}
