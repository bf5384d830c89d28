// What a stranger's first program does: two people, one message, through the installed package.
import { createClient } from "miyu";
import { memoryNetwork } from "miyu/transport/memory";

/**
 * Sends a message from one new client to another and answers it; returns what both read.
 * @param {() => object} options what every client is given beside its user and adapter
 */
export async function roundTrip(options) {
  const network = memoryNetwork();
  const [alice, bob] = await Promise.all(
    ["alice", "bob"].map((user) => createClient({ user, adapter: network.adapter(user), ...options() })),
  );
  const there = await alice.encrypt("bob", "你好, Bob");
  const read = await bob.decrypt({ from: "alice", body: there.text });
  const back = await bob.encrypt("alice", "你好, Alice");
  const answered = await alice.decrypt({ from: "bob", body: back.body });
  await Promise.all([alice.close(), bob.close()]);
  return [read.text, answered.text, alice.crypto.name].join(" | ");
}
