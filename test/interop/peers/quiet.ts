/** npm `libsignal` writes its troubles to the console, some with session contents. The tests ask for trouble: keep the log readable. */
import { afterAll, beforeAll, vi } from "vitest";

/** Silences everything but our own lines for the tests of this file. */
export function quietPeers(): void {
  const own = console.info;
  beforeAll(() => {
    for (const method of ["error", "warn", "log"] as const) vi.spyOn(console, method).mockImplementation(() => undefined);
    vi.spyOn(console, "info").mockImplementation((...args: unknown[]) => {
      // The peer hands over objects; the tests print one line of text.
      if (args.length === 1 && typeof args[0] === "string") own(args[0]);
    });
  });
  afterAll(() => {
    vi.restoreAllMocks();
  });
}
