// What the relay sees, live: a stream of server-sent events that a relay in demonstration mode offers at `/demo/tap`.
// It begins with the latest sightings, so a page that comes later, or comes back, starts afresh.

/** One thing the relay saw. */
export interface Sighting {
  readonly kind: "send" | "deliver" | "acknowledge" | "read" | "publish" | "stock" | "claim";
  /** Milliseconds since 1970, by the relay's clock. */
  readonly at: number;
  readonly from?: string;
  readonly to?: string;
  readonly device?: string;
  /** `chat`, `control` or `ephemeral`. */
  readonly class?: string;
  /** Bytes; for `stock` the number of keys. */
  readonly size?: number;
  /** The first bytes, hexadecimal. */
  readonly prefix?: string;
}

/** What comes out of a tap. */
export interface TapViewer {
  /** The stream begins, or begins anew: forget what was shown. */
  open(): void;
  see(sighting: Sighting): void;
  /** The stream broke off; it is tried again. */
  lose(): void;
}

/** Opens the tap for `viewer`; the browser reconnects by itself. */
export function openTap(viewer: TapViewer): void {
  const source = new EventSource("/demo/tap");
  source.addEventListener("open", () => {
    viewer.open();
  });
  source.addEventListener("error", () => {
    viewer.lose();
  });
  source.addEventListener("message", ({ data }: MessageEvent<string>) => {
    viewer.see(JSON.parse(data) as Sighting);
  });
}
