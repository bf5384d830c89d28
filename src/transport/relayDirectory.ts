/** The relay's directory over HTTP, as in docs/relay.md. Nothing is kept here; every call is one request. */
import { concat, lp, u16be } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import { untilAborted } from "./delivery.ts";
import type { Directory } from "./types.ts";

/** What {@link relayDirectory} takes. */
export interface RelayDirectoryOptions {
  /** Base URL, `http:` or `https:`, without a slash at the end. */
  readonly base: string;
  /** The own user id, whose record `publish` replaces. */
  readonly user: string;
  readonly token: () => string | Promise<string>;
  readonly fetch: typeof globalThis.fetch | undefined;
  /** Says no while the adapter is paused. */
  readonly reachable: () => boolean;
}

interface Request {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer> | string;
  readonly signal?: AbortSignal | undefined;
}

/** The relay's default; a relay with a smaller limit answers ERR_TOO_LARGE itself. */
const MAX_RECORD = 1 << 18;
const TIMEOUT_MS = 30_000;

/** The directory of the relay at `base`, seen by `user`. */
export function relayDirectory(options: RelayDirectoryOptions): Required<Omit<Directory, "watch">> {
  const { base, user } = options;
  const part = encodeURIComponent;

  async function call(path: string, { signal, ...request }: Request): Promise<Response> {
    if (isAborted(signal)) throw new MiyuError("ERR_ABORTED");
    if (!options.reachable()) throw new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "offline" });
    const authorization = `Bearer ${await options.token()}`;
    const cut = new AbortController();
    const stop = (): void => {
      cut.abort();
    };
    const timer = setTimeout(stop, TIMEOUT_MS);
    signal?.addEventListener("abort", stop, { once: true });
    try {
      const fetching = (options.fetch ?? globalThis.fetch)(base + path, {
        ...request,
        headers: { ...request.headers, authorization },
        signal: cut.signal,
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
      });
      const response = await untilAborted(fetching, signal);
      // Read here, so that the timeout and the signal cover the body too.
      const body = await untilAborted(response.arrayBuffer(), signal);
      return new Response(NO_BODY.includes(response.status) ? null : body, { status: response.status, headers: response.headers });
    } catch (cause) {
      if (MiyuError.is(cause)) throw cause;
      if (isAborted(signal)) throw new MiyuError("ERR_ABORTED");
      throw new MiyuError("ERR_TRANSPORT_UNAVAILABLE", { reason: "the relay did not answer" }, { cause });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  return {
    caps: { maxRecord: MAX_RECORD, oneTime: true },
    async read(peer, { signal } = {}) {
      const response = await call(`/v1/directory/${part(peer)}`, { signal });
      if (response.status === 404) return undefined;
      return { record: await bytesOf(await expectStatus(response, 200)), version: versionOf(response) };
    },
    async publish(record, expect, { signal } = {}) {
      if (record.length > MAX_RECORD) throw new MiyuError("ERR_TOO_LARGE", { size: record.length, limit: MAX_RECORD });
      const headers: Record<string, string> = expect === null ? { "if-none-match": "*" } : { "if-match": `"${expect}"` };
      const response = await call(`/v1/directory/${part(user)}`, { method: "PUT", headers, body: concat(record), signal });
      if (response.status === 412) return undefined;
      return versionOf(await expectStatus(response, 204, record.length));
    },
    async claim(peer, device, { signal } = {}) {
      const response = await call(`/v1/claims/${part(peer)}/${part(device)}`, { method: "POST", signal });
      // Over the relay's limit of claims there is none for us; a session begins without one.
      if (response.status === 204 || response.status === 429) return undefined;
      return bytesOf(await expectStatus(response, 200));
    },
    async stock(device, keys, { signal } = {}) {
      const body = concat(u16be(keys.length), ...keys.map(lp));
      const response = await expectStatus(await call(`/v1/prekeys/${part(device)}`, { method: "POST", body, signal }), 200, body.length);
      return numberOf(await jsonOf(response), "stock");
    },
    async forget(device, { signal } = {}) {
      const response = await call(`/v1/devices/${part(device)}`, { method: "DELETE", signal });
      // Not there any more, or still connected: then it empties its mailbox itself.
      if (response.status !== 404 && response.status !== 409) await expectStatus(response, 204);
    },
    async fence(device, expect, next) {
      const body = JSON.stringify({ expect, next });
      const response = await call(`/v1/fences/${part(device)}`, { method: "POST", headers: { "content-type": "application/json" }, body });
      return (await jsonOf(await expectStatus(response, 200)))["granted"] === true;
    },
  };
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** Statuses a `Response` may not be given a body with. */
const NO_BODY: readonly number[] = [204, 205, 304];

async function expectStatus(response: Response, status: number, size = 0): Promise<Response> {
  if (response.status === status) return response;
  const said = await jsonOf(response).catch((): Readonly<Record<string, unknown>> => ({}));
  const reason = typeof said["error"] === "string" ? said["error"] : `status ${String(response.status)}`;
  if (response.status === 413) throw new MiyuError("ERR_TOO_LARGE", { size, limit: typeof said["limit"] === "number" ? said["limit"] : 0 });
  if (response.status < 500 && response.status !== 429 && response.status !== 408) throw new MiyuError("ERR_TRANSPORT_REJECTED", { reason });
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  throw new MiyuError("ERR_TRANSPORT_UNAVAILABLE", Number.isFinite(seconds) ? { reason, retryAfterMs: seconds * 1000 } : { reason });
}

function versionOf(response: Response): string {
  const version = /"([^"]*)"/.exec(response.headers.get("etag") ?? "")?.[1];
  if (version === undefined) throw new MiyuError("ERR_TRANSPORT_REJECTED", { reason: "the relay named no version" });
  return version;
}

async function bytesOf(response: Response): Promise<Uint8Array> {
  return new Uint8Array(await response.arrayBuffer());
}

async function jsonOf(response: Response): Promise<Readonly<Record<string, unknown>>> {
  const value: unknown = await response.json().catch(() => undefined);
  if (typeof value !== "object" || value === null) throw new MiyuError("ERR_TRANSPORT_REJECTED", { reason: "the relay's answer is not JSON" });
  return Object.fromEntries(Object.entries(value));
}

function numberOf(value: Readonly<Record<string, unknown>>, name: string): number {
  const number = value[name];
  if (typeof number !== "number") throw new MiyuError("ERR_TRANSPORT_REJECTED", { reason: `the relay's answer has no ${name}` });
  return number;
}
