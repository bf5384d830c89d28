// @matrix-org/olm (3DH and Olm's ratchet; C compiled to WebAssembly). Its sessions stay live objects: nothing is written or read between
// calls, which flatters it beside the others. The one-time key is signed and the signature checked, as Matrix clients do.
import { TEXT } from "../measures.mjs";

const signedText = (key) => JSON.stringify({ key });

/** @returns {import("../measures.mjs").Driver} */
export function olm() {
  let library;
  let utility;
  return {
    async load() {
      library = (await import("@matrix-org/olm")).default;
      await library.init();
      utility = new library.Utility();
    },
    async user(name) {
      const account = new library.Account();
      account.create();
      return { name, account, keys: JSON.parse(account.identity_keys()), sessions: new Map() };
    },
    async bundle({ account, keys }) {
      account.generate_one_time_keys(1);
      const [oneTime] = Object.values(JSON.parse(account.one_time_keys()).curve25519);
      account.mark_keys_as_published();
      return { keys, oneTime, signature: account.sign(signedText(oneTime)) };
    },
    async start(from, to, { keys, oneTime, signature }) {
      utility.ed25519_verify(keys.ed25519, signedText(oneTime), signature);
      const session = new library.Session();
      session.create_outbound(from.account, keys.curve25519, oneTime);
      from.sessions.set(to.name, session);
    },
    encrypt: async (from, to) => from.sessions.get(to.name).encrypt(TEXT),
    async decrypt(to, from, { type, body }) {
      let session = to.sessions.get(from.name);
      if (!session) {
        session = new library.Session();
        session.create_inbound_from(to.account, from.keys.curve25519, body);
        to.account.remove_one_time_keys(session);
        to.sessions.set(from.name, session);
      }
      return session.decrypt(type, body);
    },
    stateBytes: (user, peer) => user.sessions.get(peer.name).pickle("key").length,
    free({ account, sessions }) {
      for (const session of sessions.values()) session.free();
      account.free();
    },
  };
}
