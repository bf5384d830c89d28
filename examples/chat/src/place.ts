// One window per person and browser: windows of the same person share one device, and the relay talks to the newest only.
// The newest takes a Web Lock from the older, which then steps back politely.

/** This window's place. */
export interface Place {
  /** Resolves when another window took the place. */
  readonly lost: Promise<void>;
}

/** Takes the place of `user` in this browser, from whoever has it. */
export function takePlace(user: string): Place {
  const lost = new Promise<void>((resolve) => {
    // Not offered outside secure contexts; then nobody is told, and the library's own store lock still keeps the state whole.
    if (!("locks" in navigator)) return;
    let leaving = false;
    const left = new Promise<void>((leave) => {
      // WebKitGTK spins for ever when a document goes away with a lock in its hands.
      addEventListener("pagehide", () => {
        leaving = true;
        leave();
      });
    });
    addEventListener("pageshow", ({ persisted }) => {
      if (persisted) location.reload(); // back from the browser's memory, where connections are cut and the place is gone
    });
    navigator.locks
      .request(`miyu-demo-${user}`, { steal: true }, () => left)
      .catch(() => {
        if (!leaving) resolve();
      });
  });
  return { lost };
}
