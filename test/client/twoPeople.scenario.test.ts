// Two people over the hostile network's quiet mode: the whole path of the public API.
import { createClient, type Client, type ClientEvent, type Message } from "miyu";
import { nobleCrypto } from "miyu/crypto/noble";
import { memoryMedium, memoryStore } from "miyu/store/memory";
import { memoryNetwork } from "miyu/transport/memory";
import { afterEach, describe, expect, test } from "vitest";

const open: Client[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.close()));
});

async function nextMessage(events: AsyncIterableIterator<ClientEvent>): Promise<Message> {
  for (;;) {
    const next = await events.next();
    if (next.done === true) throw new Error("events ended");
    if (next.value.kind === "message") return next.value;
  }
}

describe("two people", () => {
  test("send and receive in both directions, and go on after a restart", async () => {
    const network = memoryNetwork();
    const medium = memoryMedium();
    const make = async (user: string, store = memoryStore()): Promise<Client> => {
      const client = await createClient({ user, adapter: network.adapter(user), store, crypto: nobleCrypto });
      open.push(client);
      return client;
    };
    const alice = await make("alice");
    let bob = await make("bob", memoryStore({ medium }));
    const bobHears = bob.events();
    const aliceHears = alice.events();
    const sending = await alice.send("bob", "你好");
    await sending.accepted();
    const heard = await nextMessage(bobHears);
    expect(heard).toMatchObject({ text: "你好", from: { user: "alice", device: alice.device }, conversation: "alice", own: false, id: sending.id });
    for (let i = 0; i < 5; i++) {
      await bob.send("alice", `answer ${String(i)}`);
      expect((await nextMessage(aliceHears)).text).toBe(`answer ${String(i)}`);
      await alice.send("bob", `question ${String(i)}`);
      expect((await nextMessage(bobHears)).text).toBe(`question ${String(i)}`);
    }
    const [ours, theirs] = await Promise.all([alice.safetyNumber("bob"), bob.safetyNumber("alice")]);
    expect(ours.digits).toBe(theirs.digits);
    expect(ours.digits).toMatch(/^\d{60}$/);
    await bob.close();
    await alice.send("bob", "while you were away");
    bob = await make("bob", memoryStore({ medium }));
    const again = bob.events();
    const texts = [(await nextMessage(again)).text, (await nextMessage(again)).text];
    expect(texts).toEqual(["question 4", "while you were away"]);
    expect((await bob.history({ conversation: "alice", limit: 3 })).map((message) => message.text)).toEqual(["answer 4", "question 4", "while you were away"]);
  });
});
