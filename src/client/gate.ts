/** What has to be in order before anything is sealed: others can find the own list, and no copy of this device sends beside it. */

/** Guards sending. */
export interface Gate {
  /**
   * Resolves when this device may send: its own list can be found by others, and the fence is granted. Asks the directory if it has
   * not answered yet.
   * @throws {MiyuError} what `announced` says; ERR_ROLLBACK if another copy holds the fence, ERR_TRANSPORT_UNAVAILABLE if the directory cannot be asked
   */
  pass(): Promise<void>;
  /** Asks again at the next `pass`: after an interruption another copy may have come. */
  renew(): void;
  /** `none`: the directory offers no fence. */
  readonly state: "none" | "unknown" | "granted" | "refused";
}

/** The gate where the directory offers no fence. @param announced - resolves once the directory has the own list */
export function openGate(announced: () => Promise<void>): Gate {
  return { state: "none", pass: announced, renew: () => undefined };
}
