/** Static files of one directory, for the demo's page: no listing, no dot files, nothing outside, and a strict content policy. */
import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { extname, join, sep } from "node:path";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".map": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
  ".woff2": "font/woff2",
};

/** Scripts of this host only, WebAssembly allowed, connections to this host and WebSockets only. */
const CONTENT_POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self' ws:",
  "frame-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'self'",
].join("; ");

/** Answers with the file `path` (a URL path) of `directory`; resolves false, with nothing written, if there is none. */
export async function serveAsset(directory: string, path: string, head: boolean, response: ServerResponse): Promise<boolean> {
  const found = await findFile(directory, path);
  if (found === undefined) return false;
  response.writeHead(200, {
    "content-type": TYPES[extname(found.file).toLowerCase()] ?? "application/octet-stream",
    "content-length": found.size,
    "content-security-policy": CONTENT_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
  });
  if (head) response.end();
  else createReadStream(found.file).on("error", () => response.destroy()).pipe(response);
  return true;
}

async function findFile(directory: string, path: string): Promise<{ readonly file: string; readonly size: number } | undefined> {
  try {
    const parts = decodeURIComponent(path).split("/").filter((part) => part !== "");
    if (parts.some((part) => part.startsWith(".") || part.includes("\\") || part.includes("\0"))) return undefined;
    const root = await realpath(directory);
    const wanted = join(root, ...parts);
    const file = await realpath((await stat(wanted)).isDirectory() ? join(wanted, "index.html") : wanted);
    // A symbolic link may not lead out of the directory.
    if (!file.startsWith(root + sep)) return undefined;
    const found = await stat(file);
    return found.isFile() ? { file, size: found.size } : undefined;
  } catch {
    return undefined;
  }
}
