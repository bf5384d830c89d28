/** A WebSocket that says exactly what a test tells it to. */
import { once } from "node:events";
import { WebSocket, type ClientOptions } from "ws";
import { toBase64url } from "../../src/bytes.ts";
import type { Relay } from "../../src/relay/index.ts";
import { decodeServerFrame, encodeClientFrame, type ClientFrame, type ServerFrame } from "../../src/transport/relayFrames.ts";

/** A raw connection. */
export interface RawSocket {
  readonly socket: WebSocket;
  readonly frames: ServerFrame[];
  say(frame: ClientFrame): void;
  /** The next frame of a kind not taken yet. */
  next<K extends ServerFrame["kind"]>(kind: K): Promise<Extract<ServerFrame, { kind: K }>>;
  /** The code of the close. */
  readonly closed: Promise<number>;
}

/** Connects to the relay's socket path. */
export async function rawSocket(relay: Pick<Relay, "url">, options: ClientOptions = {}): Promise<RawSocket> {
  const socket = new WebSocket(`${relay.url.replace("http", "ws")}/v1/socket`, options);
  const frames: ServerFrame[] = [];
  const taken = new Set<ServerFrame>();
  let arrived = (): void => undefined;
  socket.on("message", (data: Buffer) => {
    frames.push(decodeServerFrame(new Uint8Array(data)));
    arrived();
  });
  const closed = once(socket, "close").then(([code]) => {
    arrived();
    return Number(code);
  });
  socket.on("error", () => undefined);
  await once(socket, "open");
  return {
    socket,
    frames,
    say: (frame) => {
      socket.send(encodeClientFrame(frame));
    },
    async next(kind) {
      for (;;) {
        const found = frames.find((frame): frame is Extract<ServerFrame, { kind: typeof kind }> => frame.kind === kind && !taken.has(frame));
        if (found !== undefined) {
          taken.add(found);
          return found;
        }
        if (socket.readyState === WebSocket.CLOSED) throw new Error(`closed before ${kind}`);
        await new Promise<void>((resolve) => (arrived = resolve));
      }
    },
    closed,
  };
}

/** Connects and says hello as `user` to a relay with demo tokens. */
export async function hello(relay: Pick<Relay, "url">, user: string, device: string, more: { mailbox?: string; cursor?: number } = {}): Promise<RawSocket & { mailbox: string }> {
  const raw = await rawSocket(relay);
  raw.say({ kind: "hello", token: `demo:${user}`, device, mailbox: more.mailbox ?? toBase64url(new Uint8Array(16)), cursor: more.cursor ?? 0 });
  const { mailbox } = await raw.next("welcome");
  return { ...raw, mailbox };
}
