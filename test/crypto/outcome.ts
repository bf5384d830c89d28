/** What a call did, as text: the hexadecimal it returned, `"ok"`, or the code it threw. */
import { toHex } from "../../src/bytes.ts";
import { MiyuError } from "../../src/errors.ts";

/** Runs `call`. Anything thrown that is not a {@link MiyuError}, or that carries a cause, is a failure of the test. */
export function outcome(call: () => Uint8Array | void): string {
  try {
    const result = call();
    return result === undefined ? "ok" : toHex(result);
  } catch (error) {
    if (!MiyuError.is(error) || "cause" in error) throw error;
    return error.code;
  }
}
