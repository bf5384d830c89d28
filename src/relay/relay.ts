/**
 * The reference relay: one HTTP server, a WebSocket for every device, an ordered store below. It moves and keeps opaque bytes;
 * nothing it does or says is trusted by a client for more than delivery. docs/relay.md is its wire.
 */
import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import type { Random } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import { FRAME_OVERHEAD, MAX_TOKEN, RELAY_CLOSE, RELAY_SOCKET_PATH } from "../transport/relayFrames.ts";
import type { UserId } from "../transport/types.ts";
import { serveSocket, type Connection } from "./connection.ts";
import { answerRequest } from "./http.ts";
import { keyDirectory } from "./keyDirectory.ts";
import { keys } from "./keys.ts";
import { DEFAULT_LIMITS, hourlyLimit, rateLimit, type RelayLimits } from "./limits.ts";
import { openMailboxes } from "./mailboxes.ts";
import { isLoopback, originAllowed } from "./origins.ts";
import { levelStorage, memoryStorage, type RelayStorage } from "./storage.ts";
import { tapStream, type Sighting } from "./tap.ts";
import { demoTokens, firstOf, tokenLookup, type Authenticate } from "./tokens.ts";

/** What {@link createRelay} takes: a place for its rows (`dataDir` or `memory`) and a way to know users (`authenticate`, `tokens` or `demo`). */
export interface RelayOptions {
  /** Port; 0, the default, takes a free one. */
  readonly port?: number;
  /** Address to listen on. Default: `127.0.0.1`, this machine only. */
  readonly host?: string;
  /** Directory of the LevelDB store; made if missing. Needs the package classic-level. */
  readonly dataDir?: string;
  /** Keep everything in memory instead: gone when the program ends. */
  readonly memory?: true;
  /** Says which user a token belongs to. */
  readonly authenticate?: Authenticate;
  /** Tokens and their users, asked before `authenticate`. */
  readonly tokens?: ReadonlyMap<string, UserId>;
  /** Origins of web pages that may connect, such as `https://chat.example`, besides pages of the relay's own host. */
  readonly origins?: readonly string[];
  /** Bounds other than {@link DEFAULT_LIMITS}. */
  readonly limits?: Partial<RelayLimits>;
  /** Accept `demo:NAME` as a token of NAME, and show what the relay sees at `/demo/tap`. Only where `host` is this machine. */
  readonly demo?: boolean;
  /** Directory of static files to serve at `/`. */
  readonly assets?: string;
  /** Milliseconds since 1970. Default: `Date.now`. */
  readonly now?: () => number;
  /** Default: `node:crypto`. */
  readonly random?: Random;
}

/** A running relay. */
export interface Relay {
  /** Base URL, such as `http://127.0.0.1:8787`; the same for HTTP and WebSocket clients. */
  readonly url: string;
  readonly port: number;
  /** Sockets that are open now. */
  readonly connections: number;
  /** Refuses new work, lets what was accepted reach the disk, closes every socket with 1001, then the store. */
  close(): Promise<void>;
}

const SCHEMA = 1;
/** Time the other side has to answer a close before it is cut. */
const CLOSE_GRACE_MS = 1_000;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;

/**
 * Starts a relay and resolves when it listens.
 * @throws {MiyuError} ERR_USAGE for options that do not go together, ERR_STORE_UNAVAILABLE or ERR_SCHEMA for its directory,
 * ERR_TRANSPORT_UNAVAILABLE if it cannot listen
 */
export async function createRelay(options: RelayOptions): Promise<Relay> {
  const host = options.host ?? "127.0.0.1";
  const demo = options.demo === true;
  if (demo && !isLoopback(host)) throw new MiyuError("ERR_USAGE", { reason: "a demo relay listens on loopback only" });
  if ((options.dataDir === undefined) === (options.memory !== true)) throw new MiyuError("ERR_USAGE", { reason: "a relay has either dataDir or memory" });
  const known = [
    ...(options.tokens === undefined ? [] : [tokenLookup(options.tokens)]),
    ...(options.authenticate === undefined ? [] : [options.authenticate]),
    ...(demo ? [demoTokens] : []),
  ];
  if (known.length === 0) throw new MiyuError("ERR_USAGE", { reason: "a relay needs authenticate, tokens or demo" });
  const { WebSocketServer } = await import("ws").catch((cause: unknown) => {
    throw new MiyuError("ERR_USAGE", { reason: "a relay needs the package ws" }, { cause });
  });

  const limits: RelayLimits = { ...DEFAULT_LIMITS, ...options.limits };
  const now = options.now ?? Date.now;
  const random: Random = options.random ?? ((length) => new Uint8Array(randomBytes(length)));
  const storage = options.dataDir === undefined ? memoryStorage() : await levelStorage(options.dataDir);
  const connections = new Map<string, Connection>();
  const tap = demo ? tapStream() : undefined;
  let stopping = false;

  try {
    await checkSchema(storage);
    const mailboxes = await openMailboxes(storage, limits, random, (user, device) => connections.get(`${device} ${user}`)?.wake());
    const rules = { origins: options.origins ?? [], loopback: isLoopback(host), demo };
    const shared = {
      limits,
      mailboxes,
      connections,
      now,
      authenticate: firstOf(known),
      originAllowed: (origin: string | undefined, hostHeader: string | undefined) => originAllowed(rules, origin, hostHeader),
      see: (sighting: Sighting) => tap?.see(sighting),
    };
    const socketContext = { ...shared, sendRate: rateLimit(limits.sendsPerSecond, limits.sendBurst), stopping: () => stopping };
    const httpContext = {
      ...shared,
      directory: keyDirectory(storage, limits, random),
      requestRate: rateLimit(limits.requestsPerSecond, limits.requestBurst),
      claimLimit: hourlyLimit(limits.claimsPerHour),
      tap,
      assets: options.assets,
    };

    const server = createServer({ headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
      void answerRequest(httpContext, request, response);
    });
    const sockets = new WebSocketServer({ noServer: true, maxPayload: Math.max(limits.body, MAX_TOKEN) + FRAME_OVERHEAD, perMessageDeflate: false });
    const serving = new Set<Promise<void>>();
    const alive = new Map<WebSocket, boolean>();

    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on("error", () => undefined);
      const refuse = (status: string): void => void socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
      if (!shared.originAllowed(request.headers.origin, request.headers.host)) refuse("403 Forbidden");
      else if (request.url?.split("?")[0] !== RELAY_SOCKET_PATH) refuse("404 Not Found");
      else if (stopping || alive.size >= limits.sockets) refuse("503 Service Unavailable");
      else sockets.handleUpgrade(request, socket, head, accept);
    });

    const accept = (socket: WebSocket): void => {
      alive.set(socket, true);
      const seen = (): void => void alive.set(socket, true);
      socket.on("pong", seen).on("message", seen);
      const served: Promise<void> = serveSocket(socketContext, socket).finally(() => {
        alive.delete(socket);
        serving.delete(served);
      });
      serving.add(served);
    };

    // A peer that vanished without a word answers no ping: half-open sockets end after two rounds.
    const heartbeat = setInterval(() => {
      for (const [socket, sign] of alive) {
        if (!sign) socket.terminate();
        else {
          alive.set(socket, false);
          socket.ping();
        }
      }
    }, limits.heartbeatMs);
    heartbeat.unref();

    const port = await listen(server, options.port ?? 0, host);
    let closing: Promise<void> | undefined;
    const stop = async (): Promise<void> => {
      stopping = true;
      clearInterval(heartbeat);
      const closed = new Promise((resolve) => server.close(resolve));
      tap?.close();
      for (const socket of alive.keys()) socket.close(RELAY_CLOSE.stopping, "stopping");
      const cut = setTimeout(() => {
        for (const socket of alive.keys()) socket.terminate();
      }, CLOSE_GRACE_MS);
      await Promise.all(serving);
      clearTimeout(cut);
      server.closeAllConnections();
      await closed;
      await storage.close();
    };
    return {
      url: `http://${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${String(port)}`,
      port,
      get connections() {
        return alive.size;
      },
      close: async () => (closing ??= stop()),
    };
  } catch (error) {
    await storage.close();
    throw error;
  }
}

async function checkSchema(storage: RelayStorage): Promise<void> {
  const found = await storage.get(keys.schema);
  if (found === undefined) await storage.write([{ key: keys.schema, value: Uint8Array.of(SCHEMA) }]);
  else if (found[0] !== SCHEMA) throw new MiyuError("ERR_SCHEMA", { found: found[0] ?? 0, known: SCHEMA });
}

async function listen(server: Server, port: number, host: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => {
      reject(new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: `cannot listen on ${host}:${String(port)}` }, { cause }));
    });
    server.listen(port, host.replace(/^\[|\]$/g, ""), resolve);
  });
  server.on("error", () => undefined);
  return (server.address() as AddressInfo).port;
}
