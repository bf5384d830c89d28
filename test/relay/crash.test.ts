import { mkdir, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fromUtf8, toBase64url, utf8 } from "../../src/bytes.ts";
import { webSocketAdapter, type WebSocketAdapter } from "../../src/transport/websocket.ts";
import type { Fence } from "../../src/transport/types.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { codeOf, frameTo, inbox } from "../transport/transport.contract.ts";
import { buildProgram, startProgram, type Program, type Running } from "./relayProgram.ts";

const random = seededRandom(testSeed("relay crashes"));
const USERS = ["alice", "bob", ...Array.from({ length: 80 }, (_, i) => `claimer${String(i)}`)];
const pause = async (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A relay program that is killed and started again on the same directory and port. */
interface Victim {
  readonly url: string;
  /** SIGKILL, then a new one. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

describe("a relay killed with SIGKILL", () => {
  let program: Program;
  beforeAll(async () => {
    program = await buildProgram();
  });
  afterAll(async () => {
    await program.remove();
  });

  async function victim(name: string): Promise<Victim> {
    const data = program.scratch(name);
    const tokens = program.scratch(`${name}.tokens`);
    await mkdir(data, { recursive: true });
    await writeFile(tokens, USERS.map((user) => `token-${user} ${user}`).join("\n"));
    const start = (port: string): Running => startProgram(program, "relay", "--port", port, "--data", data, "--tokens", tokens);
    let running = start("0");
    const url = await running.firstLine;
    if (url === undefined) throw new Error(running.output.stderr);
    return {
      url,
      async crash() {
        await running.kill("SIGKILL");
        running = start(new URL(url).port);
        if ((await running.firstLine) !== url) throw new Error(running.output.stderr);
      },
      stop: async () => running.kill("SIGKILL"),
    };
  }

  const connect = (url: string, user: string, device = toBase64url(random.bytes(16))): WebSocketAdapter =>
    webSocketAdapter({ url, user, token: `token-${user}`, device, backoff: { baseMs: 5, maxMs: 40 } });

  test("loses no accepted message and stores none twice", { timeout: 60_000 }, async () => {
    const relay = await victim("messages");
    const alice = connect(relay.url, "alice");
    const bob = connect(relay.url, "bob");
    const ids = new Map<string, Set<string>>();
    const count = { came: 0, crashes: 0 };
    inbox(bob.transport, (frame) => {
      count.came++;
      const text = fromUtf8(frame.body);
      ids.set(text, (ids.get(text) ?? new Set()).add(frame.id ?? ""));
    });
    const accepted = new Map<string, string | undefined>();
    let sending = true;
    const senders = Array.from({ length: 8 }, async (_, lane) => {
      for (let i = 0; sending; i++) {
        const text = `${String(lane)}:${String(i)}`;
        const frame = frameTo(alice.transport, "bob", text, { key: `key ${text}` });
        // One in ten gives up early and sends the same frame again, as a client that restarted would.
        if (random.chance(0.1)) await codeOf(alice.transport.send(frame, { signal: AbortSignal.timeout(1 + random.int(5)) }));
        const { id } = await alice.transport.send(frame);
        accepted.set(text, id);
      }
    });
    while (count.crashes < 5) {
      const before = accepted.size;
      while (accepted.size < before + 50 + random.int(100)) await pause(1);
      await relay.crash();
      count.crashes++;
    }
    sending = false;
    await Promise.all(senders);
    const all = [...accepted.keys()];
    // A mailbox keeps its order: when the last one is here, what is missing is lost.
    await alice.transport.send(frameTo(alice.transport, "bob", "end"));
    while (!ids.has("end")) await pause(5);
    for (const [text, id] of accepted) expect([...(ids.get(text) ?? [])], text).toEqual([id]);
    expect(all.length).toBeGreaterThan(250);
    console.info(`${String(all.length)} accepted over ${String(count.crashes)} kills, ${String(count.came)} deliveries`);
    await Promise.all([alice.transport.close(), bob.transport.close()]);
    await relay.stop();
  });

  test("hands out no prekey twice", { timeout: 60_000 }, async () => {
    const relay = await victim("claims");
    const device = toBase64url(random.bytes(16));
    const alice = connect(relay.url, "alice", device).directory;
    const keys = Array.from({ length: 200 }, () => random.bytes(36));
    expect(await alice.stock?.(device, keys)).toBe(200);
    const handedOut: string[] = [];
    let unanswered = 0;
    const work = { going: true };
    const claimers = USERS.slice(2).map(async (user) => {
      const { directory } = connect(relay.url, user);
      for (let answers = 0; answers < 3; ) {
        await pause(random.int(150));
        try {
          const key = await directory.claim?.("alice", device);
          if (key !== undefined) handedOut.push(toBase64url(key));
          answers++;
        } catch {
          unanswered++;
        }
      }
    });
    const finished = Promise.all(claimers).finally(() => (work.going = false));
    for (let crashes = 0; crashes < 3; crashes++) {
      const enough = handedOut.length + 20;
      while (work.going && handedOut.length < enough) await pause(1);
      await relay.crash();
      // What a lost answer makes a client do: stock the same keys again.
      await alice.stock?.(device, keys).catch(() => undefined);
    }
    await finished;
    expect(new Set(handedOut).size).toBe(handedOut.length);
    expect(handedOut.length).toBeGreaterThan(60);
    const left = await alice.stock?.(device, []);
    expect(left).toBeLessThanOrEqual(200 - handedOut.length);
    console.info(`${String(handedOut.length)} handed out, ${String(unanswered)} unanswered, ${String(left)} left`);
    await relay.stop();
  });

  test("keeps records and fences exactly as it said", { timeout: 60_000 }, async () => {
    const relay = await victim("records");
    const device = toBase64url(random.bytes(16));
    const alice = connect(relay.url, "alice", device).directory;
    const fence = (epoch: number): Fence => ({ epoch, nonce: toBase64url(random.bytes(16)) });
    const [one, two] = [fence(1), fence(2)];
    const version = await alice.publish(utf8("one"), null);
    expect(await alice.fence?.(device, null, one)).toBe(true);
    await relay.crash();
    expect(await alice.read("alice")).toEqual({ record: utf8("one"), version });
    expect(await alice.publish(utf8("stale"), null)).toBeUndefined();
    expect(await alice.fence?.(device, null, two)).toBe(false);
    expect(await alice.fence?.(device, one, two)).toBe(true);
    expect(await alice.publish(utf8("two"), version ?? null)).toBeTypeOf("string");
    await relay.crash();
    expect((await alice.read("alice"))?.record).toEqual(utf8("two"));
    expect(await alice.fence?.(device, one, fence(3))).toBe(false);
    await relay.stop();
  });
});
