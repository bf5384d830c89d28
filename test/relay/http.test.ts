import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { toBase64url } from "../../src/bytes.ts";
import { createRelay, type Relay, type RelayOptions } from "../../src/relay/index.ts";
import { originAllowed } from "../../src/relay/origins.ts";
import { WebSocket } from "ws";
import { hello } from "./rawSocket.ts";

const id = toBase64url(new Uint8Array(16).fill(3));

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A request exactly as given: no normalised path, any header. */
async function call(relay: Relay, method: string, path: string, headers: Record<string, string> = {}, body: string | Uint8Array = ""): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", port: relay.port, method, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString("latin1") });
      });
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

const as = (user: string): Record<string, string> => ({ authorization: `Bearer demo:${user}` });

describe("relay over HTTP", () => {
  let relay: Relay;
  const start = async (options: Partial<RelayOptions> = {}): Promise<Relay> => (relay = await createRelay({ memory: true, demo: true, ...options }));
  afterEach(async () => relay.close());

  test("a demo token names its user, percent-encoded where it is not ASCII", async () => {
    const { url } = await start();
    const put = (token: string, user: string): Promise<number> =>
      fetch(`${url}/v1/directory/${encodeURIComponent(user)}`, { method: "PUT", headers: { authorization: `Bearer ${token}`, "if-none-match": "*" }, body: "x" }).then(({ status }) => status);
    expect(await put(`demo:${encodeURIComponent("戴夫")}`, "戴夫")).toBe(204);
    expect(await put("demo:%E6", "%E6")).toBe(401);
    expect(await put(`demo:${encodeURIComponent("戴夫")}`, "eve")).toBe(403);
  });

  test("nothing without a token, nothing for others, nothing malformed", async () => {
    await start({ limits: { prekeyBytes: 10 } });
    const table: [number, string, string, Record<string, string>, (string | Uint8Array)?][] = [
      [401, "GET", "/v1/directory/alice", {}],
      [401, "GET", "/v1/directory/alice", { authorization: "Bearer nonsense" }],
      [401, "GET", "/v1/directory/alice", { authorization: "Basic ZGVtbzphbGljZQ==" }],
      [404, "GET", "/v1/directory/alice", as("bob")],
      [403, "PUT", "/v1/directory/alice", { ...as("bob"), "if-none-match": "*" }, "x"],
      [428, "PUT", "/v1/directory/alice", as("alice"), "x"],
      [428, "PUT", "/v1/directory/alice", { ...as("alice"), "if-match": "*" }, "x"],
      [412, "PUT", "/v1/directory/alice", { ...as("alice"), "if-match": '"x"' }, "x"],
      [400, "GET", "/v1/directory/%E0%A4%A", as("alice")],
      [400, "GET", `/v1/directory/${"x".repeat(300)}`, as("alice")],
      [404, "GET", "/v1/directory/a/b", as("alice")],
      [404, "PATCH", "/v1/directory/alice", as("alice")],
      [404, "GET", "/v1/", as("alice")],
      [400, "POST", "/v1/claims/bob/short", as("alice")],
      [204, "POST", `/v1/claims/bob/${id}`, as("alice")],
      [404, "POST", "/v1/prekeys/short", as("alice"), Uint8Array.of(0, 0)],
      [400, "POST", `/v1/prekeys/${id}`, as("alice"), ""],
      [400, "POST", `/v1/prekeys/${id}`, as("alice"), Uint8Array.of(0, 1, 0, 0)],
      [400, "POST", `/v1/prekeys/${id}`, as("alice"), Uint8Array.of(0, 1, 0, 11, ...new Uint8Array(11))],
      [400, "POST", `/v1/prekeys/${id}`, as("alice"), Uint8Array.of(0, 1, 0, 1, 1, 9)],
      [200, "POST", `/v1/prekeys/${id}`, as("alice"), Uint8Array.of(0, 1, 0, 1, 1)],
      [400, "POST", `/v1/fences/${id}`, as("alice"), "{"],
      [400, "POST", `/v1/fences/${id}`, as("alice"), '{"expect":null}'],
      [400, "POST", `/v1/fences/${id}`, as("alice"), '{"expect":null,"next":{"epoch":-1,"nonce":"AAAAAAAAAAAAAAAAAAAAAA"}}'],
      [400, "POST", `/v1/fences/${id}`, as("alice"), '{"expect":null,"next":{"epoch":1,"nonce":"short"}}'],
      [413, "POST", `/v1/fences/${id}`, as("alice"), " ".repeat(2_000)],
      [413, "PUT", "/v1/directory/alice", { ...as("alice"), "if-none-match": "*" }, new Uint8Array(300_000)],
      [404, "DELETE", `/v1/devices/${id}`, as("nobody")],
      [404, "GET", "/", {}],
      [404, "POST", "/demo/tap", {}],
      [404, "GET", "//", {}],
    ];
    for (const [status, method, path, headers, body] of table) expect((await call(relay, method, path, headers, body)).status, `${method} ${path}`).toBe(status);
    expect((await call(relay, "GET", "/v1/directory/alice", as("alice"))).status).toBe(404);
  });

  test("a device is removed by its user, while it is not connected", async () => {
    await start();
    const raw = await hello(relay, "alice", id);
    expect((await call(relay, "DELETE", `/v1/devices/${id}`, as("alice"))).status).toBe(409);
    expect((await call(relay, "DELETE", `/v1/devices/${id}`, as("bob"))).status).toBe(404);
    raw.socket.close();
    await raw.closed;
    while ((await call(relay, "DELETE", `/v1/devices/${id}`, as("alice"))).status === 409) await new Promise((resolve) => setTimeout(resolve, 1));
    const again = await hello(relay, "alice", id);
    expect(again.mailbox).not.toBe(raw.mailbox);
    again.socket.terminate();
  });

  test("which origins may call", () => {
    const rules = { origins: ["https://chat.example"], loopback: false, demo: false };
    const host = "relay.example:8787";
    const table: [boolean, Partial<typeof rules>, string | undefined, string | undefined][] = [
      [true, {}, undefined, host],
      [true, {}, "https://chat.example", host],
      [true, {}, "http://relay.example:8787", host],
      [false, {}, "http://relay.example:8788", host],
      [false, {}, "https://chat.example.evil.example", host],
      [false, {}, "https://evil.example", host],
      [false, {}, "null", host],
      [false, {}, "http://localhost:5173", host],
      [true, { loopback: true }, "http://localhost:5173", "127.0.0.1:8787"],
      [true, { loopback: true }, "http://[::1]:5173", "127.0.0.1:8787"],
      [false, { loopback: true }, "http://localhost.evil.example", "127.0.0.1:8787"],
      [false, { loopback: true, demo: true }, undefined, "evil.example:8787"],
      [false, { loopback: true, demo: true }, "http://evil.example:8787", "evil.example:8787"],
      [false, { loopback: true, demo: true }, undefined, undefined],
      [true, { loopback: true, demo: true }, undefined, "localhost:8787"],
    ];
    for (const [allowed, more, origin, hostHeader] of table) {
      expect(originAllowed({ ...rules, ...more }, origin, hostHeader), `${String(origin)} at ${String(hostHeader)}`).toBe(allowed);
    }
  });

  test("a page elsewhere gets neither a socket nor an answer; a configured one gets both", async () => {
    await start({ origins: ["https://chat.example"] });
    const open = async (origin: string): Promise<string> =>
      new Promise((resolve) => {
        const socket = new WebSocket(`${relay.url.replace("http", "ws")}/v1/socket`, { origin });
        socket.on("open", () => {
          socket.terminate();
          resolve("open");
        });
        socket.on("error", (error) => {
          resolve(error.message);
        });
      });
    expect(await open("https://evil.example")).toContain("403");
    expect(await open("https://chat.example")).toBe("open");
    expect(await open(relay.url)).toBe("open");
    expect((await call(relay, "GET", "/v1/directory/alice", { ...as("alice"), origin: "https://evil.example" })).status).toBe(403);
    expect((await call(relay, "GET", "/demo/tap", { origin: "https://evil.example" })).status).toBe(403);
    expect((await call(relay, "GET", "/demo/tap", { host: "evil.example" })).status).toBe(403);
    const preflight = await call(relay, "OPTIONS", "/v1/directory/alice", { origin: "https://chat.example", "access-control-request-method": "PUT" });
    expect(preflight.status).toBe(204);
    expect(preflight.headers["access-control-allow-origin"]).toBe("https://chat.example");
    expect(preflight.headers["access-control-allow-headers"]).toContain("authorization");
  });

  test("a rate is kept per user and says when to come back", async () => {
    await start({ limits: { requestsPerSecond: 0.5, requestBurst: 2 }, now: () => 5 });
    const statuses = [];
    for (let i = 0; i < 3; i++) statuses.push(await call(relay, "GET", "/v1/directory/x", as("alice")));
    expect(statuses.map(({ status }) => status)).toEqual([404, 404, 503]);
    expect(statuses[2]?.headers["retry-after"]).toBe("2");
    expect((await call(relay, "GET", "/v1/directory/x", as("bob"))).status).toBe(404);
  });

  test("the tap shows a demo what the relay sees, and no other relay has one", async () => {
    await start();
    const response = await fetch(`${relay.url}/demo/tap`);
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    const alice = await hello(relay, "alice", id);
    alice.say({ kind: "send", request: 1, key: "k", dest: { kind: "user", user: "bob" }, class: "chat", body: Uint8Array.of(0xde, 0xad, 0xbe, 0xef) });
    let text = "";
    while (!text.includes('"kind":"send"')) text += (await reader?.read())?.value ?? "";
    const events = [...text.matchAll(/^data: (.*)$/gm)].map(([, line]) => JSON.parse(line ?? "") as Record<string, unknown>);
    const seen = events.find((event) => event["kind"] === "send");
    expect(seen).toMatchObject({ from: "alice", to: "bob", device: id, class: "chat", size: 4, prefix: "deadbeef" });
    expect(seen?.["at"]).toBeTypeOf("number");
    const later = await fetch(`${relay.url}/demo/tap`);
    expect((await later.body?.pipeThrough(new TextDecoderStream()).getReader().read())?.value).toContain("retry");
    alice.socket.terminate();
    await relay.close();
    relay = await createRelay({ memory: true, tokens: new Map([["t", "alice"]]) });
    expect((await fetch(`${relay.url}/demo/tap`)).status).toBe(404);
    expect((await call(relay, "GET", "/v1/directory/alice", as("alice"))).status).toBe(401);
  });

  test("static files: types, a strict policy, and nothing outside the directory", async () => {
    const outside = await mkdtemp(join(tmpdir(), "miyu-assets-"));
    const assets = join(outside, "site");
    await mkdir(join(assets, "sub"), { recursive: true });
    await writeFile(join(outside, "secret.txt"), "secret");
    await writeFile(join(assets, "index.html"), "<!doctype html>");
    await writeFile(join(assets, "sub", "app.js"), "1");
    await writeFile(join(assets, ".env"), "secret");
    await symlink(join(outside, "secret.txt"), join(assets, "link.txt"));
    await start({ assets });
    const page = await call(relay, "GET", "/?user=alice");
    expect([page.status, page.body, page.headers["content-type"]]).toEqual([200, "<!doctype html>", "text/html; charset=utf-8"]);
    const policy = String(page.headers["content-security-policy"]);
    expect(policy).toContain("script-src 'self' 'wasm-unsafe-eval'");
    expect(policy).toContain("connect-src 'self' ws:");
    expect(policy).not.toContain("unsafe-inline");
    expect((await call(relay, "GET", "/sub/app.js")).headers["content-type"]).toContain("javascript");
    expect((await call(relay, "HEAD", "/sub/app.js")).body).toBe("");
    for (const path of ["/secret.txt", "/../secret.txt", "/%2e%2e/secret.txt", "/sub/..%2f..%2fsecret.txt", "/..%5csecret.txt", "/.env", "/link.txt", "/%00", "/sub", "/nothing"]) {
      const { status, body } = await call(relay, "GET", path);
      expect(status, path).toBe(404);
      expect(body).not.toContain("secret");
    }
    expect((await call(relay, "POST", "/")).status).toBe(404);
    await rm(outside, { recursive: true });
  });
});
