import { describe, expect, test } from "vitest";
import { copy, fromUtf8, toBase64url, utf8 } from "../../src/bytes.ts";
import { MiyuError } from "../../src/errors.ts";
import { callbackAdapter, type CallbackAdapter, type Receive } from "../../src/transport/callback.ts";
import type { OutFrame, TransportCaps } from "../../src/transport/types.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { bodyFor, codeOf, frameTo, inbox, transportContract, type TransportWorld } from "./transport.contract.ts";

const random = seededRandom(testSeed("callback transport"));

/** A toy IM: users with listeners, one message at a time. */
function loopback(caps?: Partial<TransportCaps>): TransportWorld {
  const users = new Map<string, CallbackAdapter>();
  let ids = 0;
  return {
    async connect(user) {
      const adapter = callbackAdapter({
        self: user,
        ...(caps === undefined ? {} : { caps }),
        async send(to, text, frame) {
          const body = copy(frame.body);
          await Promise.resolve();
          const id = `im-${String(++ids)}`;
          users.get(to)?.receive({ from: user, id, at: ids, ...(caps?.payload === "bytes" ? { body } : { text }) });
          return { id, at: ids };
        },
      });
      users.set(user, adapter);
      return Promise.resolve(adapter);
    },
    close: async () => Promise.resolve(),
  };
}

transportContract("callback (text)", async () => Promise.resolve(loopback()), random);
transportContract("callback (bytes)", async () => Promise.resolve(loopback({ payload: "bytes", maxPayload: 5_000_000 })), random);

describe("callback adapter", () => {
  const text = `miyu1.${toBase64url(utf8("x"))}`;
  const quiet = async (): Promise<void> => Promise.resolve();

  test("other texts are not ours and reach nobody", async () => {
    const adapter = callbackAdapter({ self: "alice", send: quiet });
    const got = inbox(adapter.transport);
    expect(adapter.receive({ from: "bob", text: "good morning" })).toBe(false);
    expect(adapter.receive({ from: "bob", text: "miyu1" })).toBe(false);
    expect(adapter.receive({ from: "bob", text: "" })).toBe(false);
    expect(adapter.receive({ from: "bob", text: `\n${text} ` })).toBe(true);
    expect((await got.count(1)).map((frame) => fromUtf8(frame.body))).toEqual([text]);
    expect(() => adapter.receive({ from: "bob" })).toThrow(/ERR_USAGE/);
  });

  test("the app gets address, text and the whole frame", async () => {
    const calls: [string, string, OutFrame][] = [];
    const adapter = callbackAdapter({
      self: "alice",
      caps: { dests: ["user", "device", "group"] },
      send: async (...args) => Promise.resolve(void calls.push(args)),
    });
    const { transport } = adapter;
    const frames = [
      frameTo(transport, "bob", "a"),
      frameTo(transport, "", "b", { dest: { kind: "device", user: "bob", device: "d" } }),
      frameTo(transport, "", "c", { dest: { kind: "group", group: "team" }, class: "control", placeholder: "…", appMeta: { mention: ["bob"] } }),
    ];
    for (const frame of frames) expect(await transport.send(frame)).toEqual({});
    expect(calls.map(([to]) => to)).toEqual(["bob", "bob", "team"]);
    calls.forEach(([, sent, frame], i) => {
      expect(sent).toBe(fromUtf8(frames[i]?.body ?? new Uint8Array()));
      expect(frame).toEqual(frames[i]);
    });
  });

  test("a failing send is unavailable, the app's own verdict stays", async () => {
    const cause = new TypeError("fetch failed");
    const failing = callbackAdapter({ self: "alice", send: async () => Promise.reject(cause) }).transport;
    await expect(failing.send(frameTo(failing, "bob", "x"))).rejects.toMatchObject({ code: "ERR_TRANSPORT_UNAVAILABLE", cause });
    const refused = new MiyuError("ERR_TRANSPORT_REJECTED", { reason: "blocked" });
    const blocking = callbackAdapter({ self: "alice", send: async () => Promise.reject(refused) }).transport;
    await expect(blocking.send(frameTo(blocking, "bob", "x"))).rejects.toBe(refused);
  });

  test("an abort ends the wait of a send that hangs", async () => {
    const hanging = callbackAdapter({ self: "alice", send: async () => new Promise(() => undefined) }).transport;
    const abort = new AbortController();
    const result = codeOf(hanging.send(frameTo(hanging, "bob", "x"), { signal: abort.signal }));
    abort.abort();
    expect(await result).toBe("ERR_ABORTED");
  });

  test("groups, own copies, ids, times, hints and acknowledgements pass through", async () => {
    let push: Receive | undefined;
    let unregistered = 0;
    const { transport } = callbackAdapter({
      self: "alice",
      send: quiet,
      onMessage(receive) {
        push = receive;
        return () => {
          unregistered++;
        };
      },
    });
    const got = inbox(transport);
    let acked = 0;
    const countAck = (): void => {
      acked++;
    };
    const raw = { vendor: true };
    push?.({ from: "bob", text, group: "team", id: "7", at: 99, replay: "history", raw, ack: countAck });
    push?.({ from: "alice", to: "bob", text, replay: "own-device" });
    const [first, second] = await got.count(2);
    expect(first).toMatchObject({ from: "bob", conversation: { kind: "group", group: "team" }, id: "7", at: 99, replay: "history", raw });
    expect(second).toMatchObject({ from: "alice", conversation: { kind: "direct", peer: "bob" }, replay: "own-device" });
    expect(acked).toBe(1);
    await transport.close();
    expect(unregistered).toBe(1);
    expect(push?.({ from: "bob", text })).toBe(false);
  });

  test("state follows the app", () => {
    const adapter = callbackAdapter({ self: "alice", send: quiet });
    const seen: string[] = [];
    adapter.transport.onState?.((state) => seen.push(state));
    adapter.setState("offline");
    adapter.setState("offline");
    adapter.setState("online");
    expect(seen).toEqual(["online", "offline", "online"]);
  });

  test("what goes out is text of ours", () => {
    const { transport } = callbackAdapter({ self: "alice", send: quiet });
    expect(fromUtf8(bodyFor(transport, "x"))).toBe(text);
  });
});
