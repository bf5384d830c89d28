/**
 * The HTTP side of a relay: the directory routes of docs/relay.md, and in a demo the tap and the page.
 * Every route checks origin, token and size before it reads anything.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { fromUtf8, Reader } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import { isId, MAX_USER } from "../transport/relayFrames.ts";
import type { Fence, UserId } from "../transport/types.ts";
import { serveAsset } from "./assets.ts";
import { deviceKey, type Connection } from "./connection.ts";
import type { KeyDirectory } from "./keyDirectory.ts";
import type { HourlyLimit, RateLimit, RelayLimits } from "./limits.ts";
import type { Mailboxes } from "./mailboxes.ts";
import type { Sighting, TapStream } from "./tap.ts";

/** What the routes work on. */
export interface HttpContext {
  readonly limits: RelayLimits;
  readonly directory: KeyDirectory;
  readonly mailboxes: Mailboxes;
  readonly connections: ReadonlyMap<string, Connection>;
  readonly requestRate: RateLimit;
  readonly claimLimit: HourlyLimit;
  readonly now: () => number;
  readonly authenticate: (token: string) => Promise<UserId | undefined>;
  readonly originAllowed: (origin: string | undefined, host: string | undefined) => boolean;
  readonly see: (sighting: Sighting) => void;
  /** In a demo: the stream at `/demo/tap`. */
  readonly tap: TapStream | undefined;
  /** Directory of static files at `/`. */
  readonly assets: string | undefined;
}

/** What a route answers. */
interface Answer {
  readonly status: number;
  readonly body?: Uint8Array | string;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Call {
  readonly user: UserId;
  readonly method: string;
  /** Path segments after `/v1/`, decoded. */
  readonly path: readonly string[];
  readonly request: IncomingMessage;
}

const json = (status: number, value: object, headers: Readonly<Record<string, string>> = {}): Answer => ({
  status,
  body: JSON.stringify(value),
  headers: { "content-type": "application/json", ...headers },
});
const failure = (status: number, error: string, headers: Readonly<Record<string, string>> = {}): Answer => json(status, { error }, headers);
const seconds = (ms: number): Readonly<Record<string, string>> => ({ "retry-after": String(Math.ceil(ms / 1000)) });

/** Answers one request; never rejects. */
export async function answerRequest(context: HttpContext, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const origin = request.headers.origin;
  try {
    if (!context.originAllowed(origin, request.headers.host)) {
      write(response, failure(403, "origin"));
      return;
    }
    if (origin !== undefined) {
      response.setHeader("access-control-allow-origin", origin);
      response.setHeader("access-control-expose-headers", "ETag, Retry-After");
      response.setHeader("vary", "Origin");
    }
    const path = request.url?.split("?")[0] ?? "/";
    if (path.startsWith("/v1/")) write(response, await route(context, request, path.slice(4)));
    else if (!(await page(context, request, path, response))) write(response, failure(404, "not found"));
  } catch (error) {
    write(response, answerTo(error));
  }
}

async function page({ tap, assets }: HttpContext, request: IncomingMessage, path: string, response: ServerResponse): Promise<boolean> {
  if (request.method !== "GET" && request.method !== "HEAD") return false;
  if (path === "/demo/tap" && tap !== undefined) {
    tap.serve(response);
    return true;
  }
  return assets !== undefined && serveAsset(assets, path, request.method === "HEAD", response);
}

async function route(context: HttpContext, request: IncomingMessage, path: string): Promise<Answer> {
  const method = request.method ?? "GET";
  if (method === "OPTIONS") {
    const allowed = { "access-control-allow-methods": "GET, PUT, POST, DELETE", "access-control-allow-headers": "authorization, content-type, if-match, if-none-match" };
    return { status: 204, headers: { ...allowed, "access-control-max-age": "600" } };
  }
  const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1];
  const user = token === undefined ? undefined : await context.authenticate(token);
  if (user === undefined) return failure(401, "unauthorised", { "www-authenticate": "Bearer" });
  const wait = context.requestRate.take(user, context.now());
  if (wait > 0) return failure(503, "too many requests", seconds(wait));
  const call: Call = { user, method, path: path.split("/").map(decodeURIComponent), request };
  const [noun = "", first = "", second = ""] = call.path;
  const shape = `${method} ${noun} ${String(call.path.length - 1)}`;
  if (first.length > MAX_USER) return failure(400, "user");
  if (shape === "GET directory 1") return read(context, call, first);
  if (shape === "PUT directory 1") return first === user ? publish(context, call) : failure(403, "not your record");
  if (shape === "POST claims 2") return isId(second) ? claim(context, call, first, second) : failure(400, "device");
  if (!isId(first)) return failure(404, "not found");
  if (shape === "POST prekeys 1") return stock(context, call, first);
  if (shape === "POST fences 1") return fence(context, call, first);
  if (shape === "DELETE devices 1") return removeDevice(context, call, first);
  return failure(404, "not found");
}

async function read({ directory, see, now }: HttpContext, { user: from }: Call, user: UserId): Promise<Answer> {
  const found = await directory.read(user);
  see({ kind: "read", at: now(), from, to: user, size: found?.record.length ?? 0 });
  return found === undefined ? failure(404, "no record") : { status: 200, body: found.record, headers: { etag: `"${found.version}"` } };
}

async function publish({ directory, limits, see, now }: HttpContext, { user, request }: Call): Promise<Answer> {
  const expect = expectedVersion(request);
  if (expect === undefined) return failure(428, "If-Match or If-None-Match: * is needed");
  const record = await readBody(request, limits.record);
  const version = await directory.publish(user, record, expect);
  see({ kind: "publish", at: now(), from: user, size: record.length });
  return version === undefined ? failure(412, "another version") : { status: 204, headers: { etag: `"${version}"` } };
}

/** The version a publish replaces: text, null for "there is none", undefined if the request does not say. */
function expectedVersion({ headers }: IncomingMessage): string | null | undefined {
  if (headers["if-none-match"] === "*") return null;
  return /^(?:W\/)?"([^"]*)"$/.exec(headers["if-match"] ?? "")?.[1];
}

async function claim({ directory, claimLimit, see, now }: HttpContext, { user: from }: Call, user: UserId, device: string): Promise<Answer> {
  const wait = claimLimit.take(JSON.stringify([from, user, device]), now());
  if (wait > 0) return failure(429, "too many claims", seconds(wait));
  const prekey = await directory.claim(user, device);
  see({ kind: "claim", at: now(), from, to: user, device, size: prekey?.length ?? 0 });
  return prekey === undefined ? { status: 204 } : { status: 200, body: prekey };
}

async function stock({ directory, limits, see, now }: HttpContext, { user, request }: Call, device: string): Promise<Answer> {
  const reader = new Reader(await readBody(request, 2 + limits.prekeys * (2 + limits.prekeyBytes)), "prekeys");
  const prekeys = Array.from({ length: reader.u16() }, () => reader.lp());
  reader.end();
  if (prekeys.some((prekey) => prekey.length === 0 || prekey.length > limits.prekeyBytes)) return failure(400, "prekey size");
  const count = await directory.stock(user, device, prekeys);
  see({ kind: "stock", at: now(), from: user, device, size: prekeys.length });
  return json(200, { stock: count });
}

async function fence({ directory }: HttpContext, { user, request }: Call, device: string): Promise<Answer> {
  const asked = asRecord(parseJson(await readBody(request, 1024)));
  const next = asFence(asked?.["next"]);
  const expect = asked?.["expect"] === null ? null : asFence(asked?.["expect"]);
  if (next === undefined || expect === undefined) return failure(400, "fence");
  return json(200, { granted: await directory.fence(user, device, expect, next) });
}

async function removeDevice({ directory, mailboxes, connections }: HttpContext, { user }: Call, device: string): Promise<Answer> {
  if (connections.has(deviceKey(user, device))) return failure(409, "the device is connected");
  await directory.remove(user, device);
  return (await mailboxes.remove(user, device)) ? { status: 204 } : failure(404, "no such device");
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(bytes)) as unknown;
  } catch {
    throw new MiyuError("ERR_DECODE", { what: "json" });
  }
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === "object" && value !== null ? Object.fromEntries(Object.entries(value)) : undefined;
}

function asFence(value: unknown): Fence | undefined {
  const { epoch, nonce } = asRecord(value) ?? {};
  if (typeof epoch !== "number" || !Number.isSafeInteger(epoch) || epoch < 0 || typeof nonce !== "string" || !isId(nonce)) return undefined;
  return { epoch, nonce };
}

/** The request's body. @throws {MiyuError} ERR_TOO_LARGE as soon as it is longer than `limit` */
async function readBody(request: IncomingMessage, limit: number): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    size += bytes.length;
    if (size > limit) throw new MiyuError("ERR_TOO_LARGE", { size, limit });
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

function answerTo(error: unknown): Answer {
  if (error instanceof URIError || MiyuError.is(error, "ERR_DECODE")) return failure(400, "bad request");
  if (MiyuError.is(error, "ERR_TOO_LARGE")) return json(413, { error: "too large", limit: error.detail.limit }, { connection: "close" });
  if (MiyuError.is(error, "ERR_TRANSPORT_REJECTED")) return failure(409, error.detail.reason);
  if (MiyuError.is(error, "ERR_STORE_UNAVAILABLE")) return failure(503, "storage", seconds(1000));
  return failure(500, "failed");
}

function write(response: ServerResponse, { status, body = "", headers = {} }: Answer): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
  const always = { "cache-control": "no-store", "x-content-type-options": "nosniff" };
  const type = { "content-type": "application/octet-stream" };
  response.writeHead(status, { ...always, ...(status === 204 ? {} : { ...type, "content-length": String(length) }), ...headers });
  response.end(status === 204 ? undefined : body);
}
