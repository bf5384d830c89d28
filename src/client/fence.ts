/**
 * The fence: a pair (epoch, nonce) that the directory compares and sets, so that of two copies of one device (a restored backup, a
 * cloned profile) only one can send. A new pair is durable before it is asked for, so a lost reply is harmless.
 */
import { concat, fromBase64url, Reader, toBase64url, u32be } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import type { StoreView } from "../store/types.ts";
import type { Fence } from "../transport/types.ts";
import type { Context } from "./context.ts";
import type { Gate } from "./gate.ts";
import { RECORDS } from "./naming.ts";

/** What the store knows of the fence. */
interface FenceState {
  readonly granted: Fence | null;
  /** Asked for, answer unknown. */
  readonly pending: Fence | null;
}

/**
 * A gate that asks for the fence of the directory. Policy `prefer` passes whatever the directory says of the fence, and reports a refusal all the same.
 * @param announced - resolves once the directory has the own list
 */
export function fenceGate(context: Context, announced: () => Promise<void>): Gate {
  const { directory, account, store, policy } = context;
  let state: Gate["state"] = "unknown";
  let asking: Promise<void> | undefined;

  async function ask(): Promise<void> {
    // Several tabs share one fence: while one asked, another may have gone on, and the answer is about the past.
    while (!(await askOnce())) continue;
  }

  /** False if the question was outdated before its answer came. */
  async function askOnce(): Promise<boolean> {
    const { granted, pending } = await store.transact([RECORDS.fence], (view) => {
      const known = getFence(view);
      if (known.pending !== null) return known;
      const asked = { ...known, pending: { epoch: (known.granted?.epoch ?? 0) + 1, nonce: toBase64url(context.random(16)) } };
      putFence(view, asked);
      return asked;
    });
    if (pending === null || directory?.fence === undefined) return true;
    const held = await directory.fence(account.device, granted, pending);
    if (!held) {
      const now = await store.transact([RECORDS.fence], getFence);
      if (now.pending?.nonce !== pending.nonce) return false;
      state = "refused";
      context.events.push({ kind: "fence-refused", id: `fence/${account.device}/${String(pending.epoch)}` });
      return true;
    }
    await store.transact([RECORDS.fence], (view) => {
      // Another tab may have gone on from here meanwhile.
      if (getFence(view).pending?.nonce === pending.nonce) putFence(view, { granted: pending, pending: null });
    });
    state = "granted";
    return true;
  }

  return {
    get state() {
      return state;
    },
    renew() {
      if (state === "granted") state = "unknown";
    },
    async pass() {
      await announced();
      if (state === "unknown") {
        asking ??= ask().finally(() => {
          asking = undefined;
        });
        try {
          await asking;
        } catch (error) {
          if (policy.fence === "require" || !MiyuError.is(error, "ERR_TRANSPORT_UNAVAILABLE")) throw error;
        }
      }
      if (state === "refused" && policy.fence === "require") throw new MiyuError("ERR_ROLLBACK", { what: "fence" });
    },
  };
}

function getFence(view: StoreView): FenceState {
  const bytes = view.get(RECORDS.fence);
  if (bytes === undefined) return { granted: null, pending: null };
  const reader = new Reader(bytes, "fence");
  const one = (): Fence | null => {
    const epoch = reader.u32();
    const nonce = toBase64url(reader.bytes(16));
    return epoch === 0 ? null : { epoch, nonce };
  };
  const state = { granted: one(), pending: one() };
  reader.end();
  return state;
}

function putFence(view: StoreView, { granted, pending }: FenceState): void {
  const one = (fence: Fence | null): Uint8Array[] => (fence === null ? [new Uint8Array(20)] : [u32be(fence.epoch), fromBase64url(fence.nonce)]);
  view.put(RECORDS.fence, concat(...one(granted), ...one(pending)));
}
