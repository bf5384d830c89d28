import { describe, expect, test } from "vitest";
import { toHex } from "../../src/bytes.ts";
import { decodeSessionRecordWhole, encodeSessionRecordWhole } from "../../src/protocol/index.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { codeOf, Device, numbered, type Received } from "./parties.ts";

/** A message under way. */
interface InFlight extends Received {
  readonly n: number;
  readonly to: Device;
}

describe("two devices over a bad network", () => {
  const seed = testSeed("simulation");
  test.each([0, 1, 2])(`loss, reordering, replay, tampering, restarts and turns of speaking (seed ${String(seed)} + %s)`, (round) => {
    const random = seededRandom(seed + round);
    const alice = new Device(random, 1);
    const bob = new Device(random, 2);
    const network: InFlight[] = [];
    const delivered: InFlight[] = [];
    const tally = { sent: 0, opened: 0, lost: 0, replayed: 0, forged: 0 };

    const accept = (message: InFlight): void => {
      const got = message.to.decrypt(message);
      expect(toHex(got)).toBe(toHex(numbered(message.n)));
      tally.opened++;
      delivered.push(message);
    };
    const refuse = (message: InFlight, codes: RegExp): void => {
      const before = message.to.snapshot();
      expect(codeOf(() => message.to.decrypt(message))).toMatch(codes);
      expect(message.to.snapshot()).toBe(before);
    };

    let speaker = alice;
    while (tally.sent < 1_000) {
      if (random.chance(0.1)) speaker = speaker === alice ? bob : alice;
      const to = speaker === alice ? bob : alice;
      if (random.chance(0.7)) {
        if (!speaker.record.current || random.chance(0.003)) speaker.initiate(to, random.chance(0.7));
        network.push({ ...speaker.encrypt(numbered(tally.sent)), n: tally.sent, to });
        tally.sent++;
      }
      // Mostly in order, sometimes from anywhere in the queue.
      const at = random.chance(0.6) ? 0 : random.int(network.length);
      if (random.chance(0.65) && network.length > 0) {
        const [message] = network.splice(at, 1);
        if (!message) continue;
        if (random.chance(0.08)) tally.lost++;
        else {
          if (random.chance(0.15)) {
            const forged = message.message.slice(0, random.chance(0.9) ? undefined : random.int(message.message.length));
            // Inside the inner message, where every byte is authenticated.
            const place = message.kind === "signal" ? random.int(forged.length) : Math.min(forged.length - 1, 80 + random.int(40));
            if (forged.length > 0) forged[place] = (forged[place] ?? 0) ^ (1 << random.int(8));
            refuse({ ...message, message: forged }, /^ERR_(DECRYPT|DECODE|VERSION|DUPLICATE|NO_SESSION)$/);
            tally.forged++;
          }
          accept(message);
        }
      }
      if (random.chance(0.1) && delivered.length > 0) {
        refuse(random.pick(delivered), /^ERR_(DUPLICATE|DECRYPT)$/);
        tally.replayed++;
      }
      if (random.chance(0.02)) speaker.record = decodeSessionRecordWhole(encodeSessionRecordWhole(speaker.record));
    }
    for (const message of random.shuffle(network)) accept(message);
    console.info(`simulation seed ${String(seed + round)}: ${JSON.stringify(tally)}`);
    expect(tally.opened + tally.lost).toBe(tally.sent);
    expect(Math.min(tally.lost, tally.replayed, tally.forged)).toBeGreaterThan(20);
  }, 60_000);
});

describe("simultaneous initiation", () => {
  const seed = testSeed("simultaneous initiation");
  test(`1,000 interleavings converge on one session (seed ${String(seed)})`, () => {
    const random = seededRandom(seed);
    const keys = [new Device(random, 1), new Device(random, 2)] as const;
    let messages = 0;
    for (let run = 0; run < 1_000; run++) {
      // The same devices, with no memory of the runs before.
      for (const device of keys) {
        device.record = decodeSessionRecordWhole(encodeSessionRecordWhole({ current: undefined, previous: [] }));
        device.oneTime.clear();
      }
      const [alice, bob] = keys;
      const queues = new Map<Device, InFlight[]>([[alice, []], [bob, []]]);
      let n = 0;
      const send = (from: Device): void => {
        const to = from === alice ? bob : alice;
        if (!from.record.current) from.initiate(to, random.chance(0.5));
        queues.get(to)?.push({ ...from.encrypt(numbered(n)), n: n++, to });
      };
      const receive = (at: Device): void => {
        const queue = queues.get(at) ?? [];
        const [message] = queue.splice(random.chance(0.7) ? 0 : random.int(queue.length), 1);
        if (message) expect(toHex(at.decrypt(message))).toBe(toHex(numbered(message.n)));
      };
      // Both start before either has heard of the other; then anything in any order.
      send(alice);
      send(bob);
      for (let step = random.int(8); step > 0; step--) random.pick([send, receive])(random.pick(keys));
      while ([...queues.values()].some((queue) => queue.length > 0)) receive(random.pick(keys));
      // One turn each way settles it.
      for (const from of random.chance(0.5) ? [alice, bob] : [bob, alice]) {
        send(from);
        receive(from === alice ? bob : alice);
      }
      expect(toHex(alice.record.current?.baseKey ?? new Uint8Array())).toBe(toHex(bob.record.current?.baseKey ?? new Uint8Array(1)));
      expect([alice, bob].map((device) => device.record.previous.length <= 1)).toEqual([true, true]);
      messages += n;
    }
    expect(messages).toBeGreaterThan(4_000);
  }, 120_000);
});
