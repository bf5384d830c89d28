// npm `libsignal` (X3DH, version 3; curve25519-js and node:crypto). Sessions are kept as JSON text, written and read by every call.
import { TEXT_BYTES } from "../measures.mjs";

/** @returns {import("../measures.mjs").Driver} */
export function libsignalNpm() {
  let library;
  let ids = 0;
  const storage = (identity) => {
    const preKeys = new Map();
    const sessions = new Map();
    return {
      preKeys,
      sessions,
      signed: undefined,
      async loadSession(address) {
        const text = sessions.get(address);
        return text && library.SessionRecord.deserialize(JSON.parse(text));
      },
      async storeSession(address, record) {
        sessions.set(address, JSON.stringify(record.serialize()));
      },
      isTrustedIdentity: () => true,
      loadPreKey: async (id) => preKeys.get(id),
      removePreKey: async (id) => void preKeys.delete(id),
      async loadSignedPreKey() {
        return this.signed;
      },
      getOurRegistrationId: () => 5,
      getOurIdentity: () => identity,
    };
  };
  return {
    async load() {
      library = (await import("libsignal")).default;
    },
    async user(name) {
      return { address: new library.ProtocolAddress(name, 1), store: storage(library.keyhelper.generateIdentityKeyPair()) };
    },
    async bundle({ store }) {
      const id = ++ids;
      const oneTime = library.keyhelper.generatePreKey(id);
      const signed = library.keyhelper.generateSignedPreKey(store.getOurIdentity(), id);
      store.preKeys.set(id, oneTime.keyPair);
      store.signed = signed.keyPair;
      return {
        registrationId: 5,
        identityKey: store.getOurIdentity().pubKey,
        signedPreKey: { keyId: id, publicKey: signed.keyPair.pubKey, signature: signed.signature },
        preKey: { keyId: id, publicKey: oneTime.keyPair.pubKey },
      };
    },
    start: (from, to, bundle) => new library.SessionBuilder(from.store, to.address).initOutgoing(bundle),
    encrypt: (from, to) => new library.SessionCipher(from.store, to.address).encrypt(Buffer.from(TEXT_BYTES)),
    decrypt(to, from, { type, body }) {
      const cipher = new library.SessionCipher(to.store, from.address);
      return type === 3 ? cipher.decryptPreKeyWhisperMessage(body) : cipher.decryptWhisperMessage(body);
    },
    stateBytes: (user, peer) => user.store.sessions.get(peer.address.toString()).length,
  };
}
