// What is measured of every peer, through its driver (bench/drivers). Times are µs; every plaintext that comes back is compared.
import { gate, repeatGated } from "./gate.mjs";
import { shuffled } from "./statistics.mjs";

/** 256 bytes of printable ASCII, so that peers that take text get the same. */
export const TEXT = "The quick brown fox jumps over the lazy dog; 0123456789 -- ".repeat(5).slice(0, 256);
export const TEXT_BYTES = new TextEncoder().encode(TEXT);

/** Milliseconds one repetition should last: long against the clock, short against disturbances. */
const REPETITION = 40;
/** Repetitions before the first that counts: the engine compiles hot code, and undoes some of it, for the better part of a second. */
const WARM_UP = 25;
const MESSAGES_OUT_OF_ORDER = 1000;
const FAN_OUT = 100;
const TURNS = 20;

/**
 * @typedef {object} Driver one peer behind common functions; users and messages are its own
 * @property {() => Promise<void>} load imports the library and makes it ready
 * @property {(name: string) => Promise<any>} user a new user with an identity
 * @property {(user: any) => Promise<any>} bundle fresh prekeys of a user, as published
 * @property {(from: any, to: any, bundle: any) => Promise<void>} start begins a session
 * @property {(from: any, to: any) => Promise<any>} encrypt the text, to a message
 * @property {(to: any, from: any, message: any) => Promise<string | Uint8Array | ArrayBuffer>} decrypt
 * @property {(user: any, peer: any) => number} stateBytes what the user keeps for the session
 * @property {(user: any) => void} [free]
 */

/** @typedef {{ median: number, p25: number, p75: number, dirty: boolean }} Result */

/** How long a measure may take: quiet repetitions wanted, and the time after which fewer must do. */
export const limitsFor = (quick) => (quick ? { wanted: 5, maxMs: 2_000 } : { wanted: 15, maxMs: 7_000 });

/**
 * Runs every measure.
 * @param {Driver} driver loaded
 * @param {{ quick: boolean, report: (measure: string, result: Result) => void }} options
 * @returns {Promise<{ results: Record<string, Result>, refused: number, quiet: number, tries: number }>} `refused`: messages
 * of the 1,000 in disorder that did not open
 */
export async function measureDriver(driver, { quick, report }) {
  const limits = limitsFor(quick);
  const results = {};
  const counts = { quiet: 0, tries: 0 };
  let names = 0;

  const record = (measure, result) => {
    results[measure] = result;
    report(measure, result);
  };
  const repeat = async (body, own = limits) => {
    const { stats, quiet, tries } = await repeatGated(body, own);
    counts.quiet += quiet;
    counts.tries += tries;
    return stats;
  };
  const users = async () => [await driver.user(`alice-${names}`), await driver.user(`bob-${names++}`)];
  const say = async (from, to) => expectText(await driver.decrypt(to, from, await driver.encrypt(from, to)));
  const meet = async (a, b) => {
    await driver.start(a, b, await driver.bundle(b));
    // Both have answered: nobody sends prekey messages any more.
    for (let i = 0; i < 2; i++) {
      await say(a, b);
      await say(b, a);
    }
  };
  const pair = async () => {
    const both = await users();
    await meet(...both);
    return both;
  };

  // Establishing: prekeys made, bundle taken in, first message out, first message in. Identities exist before.
  {
    const establish = async (batch) => {
      const pairs = [];
      for (let i = 0; i < batch; i++) pairs.push(await users());
      const stop = gate();
      for (const [a, b] of pairs) {
        await driver.start(a, b, await driver.bundle(b));
        await say(a, b);
      }
      const { ms, quiet } = stop();
      for (const user of pairs.flat()) driver.free?.(user);
      return { ms, quiet };
    };
    const batch = await batchFor(establish);
    const { establish: result } = await repeat(async () => {
      const { ms, quiet } = await establish(batch);
      return { quiet, values: { establish: (ms * 1000) / batch } };
    });
    record("establish", result);
  }

  // Steady state: one side sends a batch, the other takes it in order; then one answer, which turns the ratchet, outside the clock.
  {
    const [a, b] = await pair();
    const steady = async (batch) => {
      const messages = [];
      const stop = gate();
      const begun = performance.now();
      for (let i = 0; i < batch; i++) messages.push(await driver.encrypt(a, b));
      const between = performance.now();
      let last;
      for (const message of messages) last = await driver.decrypt(b, a, message);
      const ended = performance.now();
      const { ms, quiet } = stop();
      expectText(last);
      await say(b, a);
      return { ms, quiet, values: { encrypt: ((between - begun) * 1000) / batch, decrypt: ((ended - between) * 1000) / batch } };
    };
    const batch = await batchFor(steady);
    const stats = await repeat(() => steady(batch));
    record("encrypt", stats.encrypt);
    record("decrypt", stats.decrypt);
  }

  // Ping-pong: there and back, so that every message turns the ratchet.
  {
    const [a, b] = await pair();
    const pingpong = async (batch) => {
      const stop = gate();
      for (let i = 0; i < batch; i++) {
        await say(a, b);
        await say(b, a);
      }
      return stop();
    };
    const batch = await batchFor(pingpong);
    const { pingpong: result } = await repeat(async () => {
      const { ms, quiet } = await pingpong(batch);
      return { quiet, values: { pingpong: (ms * 1000) / batch } };
    });
    record("pingpong", result);
  }

  // What is kept for one session after as many turns for every peer, more than any keeps old chains for.
  {
    const [a, b] = await pair();
    for (let i = 0; i < TURNS; i++) {
      await say(a, b);
      await say(b, a);
    }
    const bytes = driver.stateBytes(a, b);
    record("stateBytes", { median: bytes, p25: bytes, p75: bytes, dirty: false });
  }

  // A thousand messages in disorder, µs for each.
  let refused = 0;
  {
    const disorder = async () => {
      const [a, b] = await pair();
      const messages = [];
      for (let i = 0; i < MESSAGES_OUT_OF_ORDER; i++) messages.push(await driver.encrypt(a, b));
      const order = shuffled(messages);
      refused = 0;
      const stop = gate();
      for (const message of order) {
        try {
          await driver.decrypt(b, a, message);
        } catch {
          refused++;
        }
      }
      const { ms, quiet } = stop();
      for (const user of [a, b]) driver.free?.(user);
      return { quiet, values: { outOfOrder1000: (ms * 1000) / MESSAGES_OUT_OF_ORDER } };
    };
    await disorder();
    const { outOfOrder1000 } = await repeat(disorder, quick ? { wanted: 1, maxMs: 0, enough: 1 } : { wanted: 5, maxMs: limits.maxMs, enough: 3 });
    record("outOfOrder1000", outOfOrder1000);
  }

  // One text to a hundred running sessions, one after the other.
  {
    const sender = await driver.user("sender");
    const receivers = [];
    for (let i = 0; i < FAN_OUT; i++) {
      const receiver = await driver.user(`receiver-${i}`);
      await driver.start(sender, receiver, await driver.bundle(receiver));
      await say(sender, receiver);
      await say(receiver, sender);
      receivers.push(receiver);
    }
    const fanOut = async () => {
      const stop = gate();
      for (const receiver of receivers) await driver.encrypt(sender, receiver);
      return stop();
    };
    await fanOut();
    const { fanout100 } = await repeat(async () => {
      const { ms, quiet } = await fanOut();
      return { quiet, values: { fanout100: ms * 1000 } };
    });
    record("fanout100", fanout100);
  }
  return { results, refused, ...counts };
}

/**
 * Warms `run` up and chooses how many operations fill one repetition.
 * @param {(operations: number) => Promise<{ ms: number }>} run
 */
export async function batchFor(run) {
  let batch = 2;
  for (let i = 0; i < WARM_UP; i++) {
    const { ms } = await run(batch);
    batch = Math.max(2, Math.min(500, Math.round((REPETITION * batch) / ms)));
  }
  return batch;
}

/** @param {string | Uint8Array | ArrayBuffer} plaintext */
export function expectText(plaintext) {
  const text = typeof plaintext === "string" ? plaintext : new TextDecoder().decode(plaintext);
  if (text !== TEXT) throw new Error("another plaintext came back");
}
