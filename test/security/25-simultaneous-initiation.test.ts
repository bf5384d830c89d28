// Attack 25: both sides start a session at once and end up on different ones, so half of the messages are lost (Sesame §3). Guard: an archived
// session that opens a message becomes current (`decryptSignalMessage` in src/protocol/session.ts), a record keeps both. Without that two clients do
// not agree on one session after any number of turns. The core alone runs 1,000 interleavings in test/protocol/simulation.test.ts.
import { expect, test } from "vitest";
import { toHex } from "../../src/bytes.ts";
import { sessionName } from "../../src/client/naming.ts";
import { loadSessions } from "../../src/client/sessions.ts";
import { describeSession } from "../../src/protocol/index.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { crypto, inside, open, seal, World, type Person } from "./people.ts";

const seed = testSeed("25 simultaneous initiation");

/** The session a person sends with, by its base key, and how many there are. */
function sessionOf(at: Person, peer: Person): Promise<readonly [name: string, archived: number]> {
  const name = sessionName(crypto, peer.user, peer.client.device);
  return inside(at, (vault) =>
    vault.transact([{ kind: "session", id: name }], (view) => {
      const record = loadSessions(view, name);
      return [toHex(describeSession(record)?.baseKey ?? new Uint8Array()), record.previous.length] as const;
    }),
  );
}

test(`60 interleavings through two clients: nothing is lost, and one turn each way settles on one session (seed ${String(seed)})`, async () => {
  const random = seededRandom(seed);
  const world = new World(random);
  let crossed = 0;
  for (let run = 0; run < 60; run++) {
    // Names of their own, so that no pair remembers another; without one-time prekeys every other time.
    const options = (user: string) => (run % 2 === 0 ? {} : { directory: { ...world.directory(user), caps: { maxRecord: 65_536, oneTime: false } } });
    const [alice, bob] = [await world.join(`alice ${String(run)}`, options(`alice ${String(run)}`)), await world.join(`bob ${String(run)}`, options(`bob ${String(run)}`))];
    const queues = new Map<Person, { body: Uint8Array; text: string }[]>([[alice, []], [bob, []]]);
    const other = (person: Person): Person => (person === alice ? bob : alice);
    let n = 0;
    const send = async (from: Person): Promise<void> => {
      const text = String(n++);
      queues.get(other(from))?.push({ body: (await seal(from, other(from), text)).body, text });
    };
    const receive = async (at: Person): Promise<void> => {
      const queue = queues.get(at) ?? [];
      const [message] = queue.splice(random.chance(0.6) ? 0 : random.int(queue.length), 1);
      if (message) expect(await open(at, other(at), message.body)).toMatchObject({ kind: "message", text: message.text });
    };
    await Promise.all([send(alice), send(bob)]);
    if ((await sessionOf(alice, bob))[0] !== (await sessionOf(bob, alice))[0]) crossed++;
    for (let step = random.int(8); step > 0; step--) await random.pick([send, receive])(random.pick([alice, bob]));
    while ([...queues.values()].some((queue) => queue.length > 0)) await receive(random.pick([alice, bob]));
    for (const from of random.chance(0.5) ? [alice, bob] : [bob, alice]) {
      await send(from);
      await receive(other(from));
    }
    const [hers, his] = [await sessionOf(alice, bob), await sessionOf(bob, alice)];
    expect(hers[0]).toBe(his[0]);
    expect(Math.max(hers[1], his[1])).toBeLessThanOrEqual(1);
    await Promise.all([alice.client.close(), bob.client.close()]);
  }
  expect(crossed).toBe(60);
}, 120_000);
