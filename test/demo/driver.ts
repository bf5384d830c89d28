// The little of a browser the demo scenario needs, the same for every engine.

/** A document: a window's own, or that of a frame in it. Selectors are CSS; the first match is meant. */
export interface View {
  /** Clicks as a pointer does; waits for the element first. */
  click(selector: string): Promise<void>;
  /** Focuses the element and types as a keyboard does. */
  type(selector: string, text: string): Promise<void>;
  /** Presses a key on whatever has the focus: `Enter`, `Tab`, `Escape`, `Space`. */
  press(key: Key): Promise<void>;
  /** Runs the body of an async function in the document, with `args`; arguments and result are JSON. */
  run<T>(body: string, ...args: readonly unknown[]): Promise<T>;
}

/** Keys a scenario presses. */
export type Key = "Enter" | "Tab" | "Escape" | "Space";

/** A browser window or tab. */
export interface Window extends View {
  goto(url: string): Promise<void>;
  /** A frame by its name. */
  frame(name: string): View;
  /** Sets the size of what the page sees; resolves with the width it got, since some browsers have a smallest one. */
  resize(width: number, height: number): Promise<number>;
  screenshot(path: string): Promise<void>;
  close(): Promise<void>;
}

/** A running browser with a fresh profile. */
export interface Driver {
  /** Opens a window; all share the profile. `dark` asks for the dark colour scheme where the engine can be asked. */
  newWindow(options?: { readonly dark?: boolean }): Promise<Window>;
  /** Whether `newWindow({ dark: true })` is possible. */
  readonly canBeDark: boolean;
  /** Errors of scripts, of the console and of the content policy so far. */
  readonly problems: readonly string[];
  /** Bytes sent over WebSockets so far, where the engine shows them; else undefined. */
  readonly wire: Buffer | undefined;
  close(): Promise<void>;
}

/** Time anything on screen may take. */
export const PATIENCE_MS = 30_000;

/** Waits until the body of an async function, run in `view`, gives something true, and resolves with it. */
export async function waitFor<T>(view: View, what: string, body: string, ...args: readonly unknown[]): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  let last: unknown;
  for (;;) {
    try {
      last = await view.run<T>(body, ...args);
      if (last) return last as T;
    } catch (error) {
      last = error; // the document may be on its way out or in
    }
    if (Date.now() > deadline) throw new Error(`waited ${String(PATIENCE_MS / 1000)} s for ${what}; last seen: ${last instanceof Error ? last.message : JSON.stringify(last)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
