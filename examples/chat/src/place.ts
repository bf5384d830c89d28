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
    const held = navigator.locks.request(`miyu-demo-${user}`, { steal: true }, () => new Promise<never>(() => undefined));
    held.catch(() => {
      resolve();
    });
  });
  return { lost };
}
