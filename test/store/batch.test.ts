import { describe, expect, test } from "vitest";
import { JobQueue, MAX_BATCH, type Commit, type Load, type Writes } from "../../src/store/batch.ts";

/** A medium whose commits are let through one by one, or fail. */
function gatedMedium(): { queue: JobQueue; records: Map<string, Uint8Array>; batches: Writes[]; release: (error?: Error) => Promise<void>; loads: string[][] } {
  const records = new Map<string, Uint8Array>();
  const batches: Writes[] = [];
  const loads: string[][] = [];
  const gates: ((error?: Error) => void)[] = [];
  const load: Load = (keys) => {
    loads.push([...keys]);
    return Promise.resolve(keys.map((key) => records.get(key)));
  };
  const commit: Commit = async (body) => {
    const writes = await body(load);
    batches.push(writes);
    await new Promise<void>((resolve, reject) => {
      gates.push((error) => {
        if (error === undefined) resolve();
        else reject(error);
      });
    });
    for (const [key, value] of writes) {
      if (value === undefined) records.delete(key);
      else records.set(key, value);
    }
  };
  const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
  return {
    queue: new JobQueue(commit),
    records,
    batches,
    loads,
    async release(error) {
      await settle();
      const gate = gates.shift();
      if (gate === undefined) throw new Error("no commit is waiting");
      gate(error);
      await settle();
    },
  };
}

describe("group commit", () => {
  test("nothing is told before the commit: no result, no error, no hook", async () => {
    const { queue, release } = gatedMedium();
    const log: string[] = [];
    const note = (what: string) => (): void => void log.push(what);
    void queue.submit(["a"], (view) => { view.afterCommit(note("hook")); log.push("ran"); }).then(note("result"));
    queue.submit(["a"], () => { throw new RangeError("x"); }).catch(note("error"));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(log).toEqual(["ran"]);
    await release();
    expect(log).toEqual(["ran", "hook", "result", "error"]);
  });

  test("jobs submitted together share a transaction of at most 128; a record is loaded once per transaction", async () => {
    const { queue, batches, loads, release } = gatedMedium();
    const jobs = Array.from({ length: MAX_BATCH + 1 }, (_, i) => queue.submit(["a", `k${String(i)}`], (view) => { view.put(`k${String(i)}`, Uint8Array.of(1)); }));
    await release();
    expect(batches.map((writes) => writes.size)).toEqual([MAX_BATCH, 1]);
    expect(loads.map((keys) => keys.length)).toEqual([MAX_BATCH + 1, 2]);
    await release();
    await Promise.all(jobs);
  });

  test("if the commit fails, every job of the batch fails with its reason and the next batch starts from what is there", async () => {
    const { queue, records, release } = gatedMedium();
    const broken = new Error("disk");
    let hooks = 0;
    const jobs = [
      queue.submit(["a"], (view) => { view.put("a", Uint8Array.of(1)); view.afterCommit(() => hooks++); }),
      queue.submit(["a"], (view) => { if (view.get("a") !== undefined) throw new RangeError("seen what was never written"); }),
    ];
    const outcomes = Promise.allSettled(jobs);
    await release(broken);
    expect((await outcomes).map((outcome) => outcome.status === "rejected" && (outcome.reason as unknown))).toEqual([broken, broken]);
    expect(hooks).toBe(0);
    const next = queue.submit(["a"], (view) => view.get("a"));
    await release();
    expect(await next).toBeUndefined();
    expect(records.size).toBe(0);
  });

  test("a load that fails fails the batch", async () => {
    const broken = new Error("disk");
    const queue = new JobQueue(async (body) => {
      await body(() => Promise.reject(broken));
    });
    await expect(queue.submit(["a"], () => 1)).rejects.toBe(broken);
  });

  test("a job submitted from inside another, or from a hook, runs in a later transaction", async () => {
    const { queue, batches, release } = gatedMedium();
    const inner: Promise<unknown>[] = [];
    const outer = queue.submit(["a"], (view) => {
      view.put("a", Uint8Array.of(1));
      inner.push(queue.submit(["a"], (later) => later.get("a")));
      view.afterCommit(() => inner.push(queue.submit(["a"], (later) => later.get("a"))));
    });
    await release();
    await outer;
    await release();
    expect(await Promise.all(inner)).toEqual([Uint8Array.of(1), Uint8Array.of(1)]);
    expect(batches).toHaveLength(2);
  });
});
