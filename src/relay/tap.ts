/** What a demo shows of the relay: everything it learns of a message, which is all but the message. Loopback only. */
import type { ServerResponse } from "node:http";
import type { DeviceId, FrameClass, UserId } from "../transport/types.ts";

/** One thing the relay saw. */
export interface Sighting {
  readonly kind: "send" | "deliver" | "acknowledge" | "read" | "publish" | "stock" | "claim";
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly from?: UserId;
  readonly to?: UserId;
  /** The device that sent, or got, or is asked about. */
  readonly device?: DeviceId;
  readonly class?: FrameClass;
  /** Bytes. */
  readonly size?: number;
  /** The first bytes of the body, hexadecimal. */
  readonly prefix?: string;
}

/** A window on what a relay sees. */
export interface TapStream {
  /** Shows a sighting to everybody who looks. */
  see(sighting: Sighting): void;
  /** Answers a request with server-sent events: the latest sightings, then each new one as JSON. */
  serve(response: ServerResponse): void;
  close(): void;
}

/** Sightings kept for who looks later. */
const KEPT = 200;
/** Unsent bytes after which a viewer is let go. */
const MOST_BUFFERED = 1 << 20;

/** An empty stream. */
export function tapStream(): TapStream {
  const viewers = new Set<ServerResponse>();
  const kept: string[] = [];
  return {
    see(sighting) {
      const event = `data: ${JSON.stringify(sighting)}\n\n`;
      kept.push(event);
      if (kept.length > KEPT) kept.shift();
      for (const viewer of viewers) {
        if (viewer.writableLength > MOST_BUFFERED) viewer.destroy();
        else viewer.write(event);
      }
    },
    serve(response) {
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store", "x-content-type-options": "nosniff" });
      response.write(`retry: 1000\n\n${kept.join("")}`);
      viewers.add(response);
      response.on("close", () => viewers.delete(response));
    },
    close() {
      for (const viewer of viewers) viewer.end();
    },
  };
}
