/**
 * Group commit: jobs wait in a queue, and one transaction of the medium takes up to 128 of them. Each job is a synchronous function
 * over the records it names; its writes are buffered, a job that throws undoes itself alone, later jobs of the batch see the
 * writes of earlier ones, and every outcome is told only after the commit. If the commit fails, all jobs of the batch fail: even
 * a job that threw may have thrown over something that was then never written.
 * Shared by all media; how a transaction is opened and made durable is theirs.
 */
import { copy, type Bytes } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import type { RawView } from "./types.ts";

/** Jobs in one transaction at most. */
export const MAX_BATCH = 128;

/**
 * How often `need` may send a job back to its start: a message of an archived session asks for the archive, its skipped keys, the parts it
 * writes and a page of the history, each of which only the one before makes known.
 */
const MAX_RESTARTS = 6;

/** Loads records inside the open transaction; undefined where there is none. The queue owns what it gets. */
export type Load = (keys: readonly string[]) => Promise<readonly (Uint8Array | undefined)[]>;

/** What a batch changes, by raw key; undefined removes. The medium may keep the arrays. */
export type Writes = ReadonlyMap<string, Bytes | undefined>;

/**
 * Opens one atomic read-write transaction, gives `body` its `load`, writes what `body` returns and resolves once that is durable.
 * If anything fails, nothing is written and it rejects with a `MiyuError` of the store family.
 */
export type Commit = (body: (load: Load) => Promise<Writes>) => Promise<void>;

interface Job {
  readonly keys: readonly string[];
  readonly fn: (view: RawView) => unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** What a job came to; told when the batch is committed. */
type Outcome = { readonly kind: "done"; readonly result: unknown; readonly hooks: readonly (() => void)[] } | { readonly kind: "threw"; readonly error: unknown };

/** Runs jobs in the order they came, in batches. One queue per connection, or per medium where the medium has no lock of its own. */
export class JobQueue {
  readonly #commit: Commit;
  readonly #waiting: Job[] = [];
  #running = false;

  constructor(commit: Commit) {
    this.#commit = commit;
  }

  /**
   * Runs `fn` over the records of `keys` in one transaction, together with whatever else is waiting.
   * @throws {MiyuError} what `fn` throws; ERR_USAGE for a thenable or a key not named; ERR_INTERNAL after too many restarts; what the medium says
   */
  submit<T>(keys: readonly string[], fn: (view: RawView) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ keys: [...keys], fn, resolve: resolve as (result: unknown) => void, reject });
      if (this.#running) return;
      this.#running = true;
      // A microtask later, so that calls made together are committed together.
      queueMicrotask(() => void this.#drain());
    });
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) await this.#runBatch(this.#waiting.splice(0, MAX_BATCH));
    this.#running = false;
  }

  /** Never rejects: every failure belongs to a job. */
  async #runBatch(jobs: readonly Job[]): Promise<void> {
    let outcomes: readonly Outcome[] = [];
    try {
      await this.#commit(async (load) => {
        const batch = new Batch(load);
        outcomes = await batch.run(jobs);
        return batch.writes;
      });
    } catch (error) {
      for (const job of jobs) job.reject(error);
      return;
    }
    jobs.forEach((job, i) => {
      const outcome = outcomes[i];
      if (outcome?.kind === "done") {
        runHooks(outcome.hooks);
        job.resolve(outcome.result);
      } else job.reject(outcome?.error ?? new MiyuError("ERR_INTERNAL", { what: "job without an outcome" }));
    });
  }
}

/** The records of one transaction as its jobs see them. */
class Batch {
  /** What the jobs that did not throw changed. */
  readonly writes = new Map<string, Bytes | undefined>();
  readonly #loaded = new Map<string, Uint8Array | undefined>();
  readonly #load: Load;

  constructor(load: Load) {
    this.#load = load;
  }

  /** Runs `jobs` one after another. Between them only `load` is awaited: anything else would close an IndexedDB transaction. */
  async run(jobs: readonly Job[]): Promise<readonly Outcome[]> {
    await this.#require(jobs.flatMap((job) => job.keys));
    const outcomes: Outcome[] = [];
    for (const job of jobs) outcomes.push(await this.#runJob(job));
    return outcomes;
  }

  async #runJob(job: Job): Promise<Outcome> {
    const named = new Set(job.keys);
    for (let restarts = 0; ; restarts++) {
      const attempt = new Attempt(named, (key) => this.#read(key));
      const outcome = attempt.run(job.fn);
      if (attempt.missing.length === 0) {
        if (outcome.kind === "done") for (const [key, value] of attempt.writes) this.writes.set(key, value);
        return outcome;
      }
      if (restarts === MAX_RESTARTS) return { kind: "threw", error: new MiyuError("ERR_INTERNAL", { what: "a transaction needed more records too often" }) };
      for (const key of attempt.missing) named.add(key);
      await this.#require(attempt.missing);
    }
  }

  #read(key: string): Uint8Array | undefined {
    return this.writes.has(key) ? this.writes.get(key) : this.#loaded.get(key);
  }

  async #require(keys: readonly string[]): Promise<void> {
    const missing = [...new Set(keys)].filter((key) => !this.#loaded.has(key));
    if (missing.length === 0) return;
    const values = await this.#load(missing);
    missing.forEach((key, i) => this.#loaded.set(key, values[i]));
  }
}

/** Stops `fn` inside `need`. Should `fn` swallow it, its attempt is dropped all the same. */
class Restart extends Error {}

/** One run of one job: its view, its writes, its hooks. */
class Attempt implements RawView {
  readonly writes = new Map<string, Bytes | undefined>();
  /** Keys `need` asked for and that were not named; if there are any, this attempt counts for nothing. */
  missing: readonly string[] = [];
  readonly #named: ReadonlySet<string>;
  readonly #read: (key: string) => Uint8Array | undefined;
  readonly #hooks: (() => void)[] = [];
  #live = true;

  constructor(named: ReadonlySet<string>, read: (key: string) => Uint8Array | undefined) {
    this.#named = named;
    this.#read = read;
  }

  run(fn: (view: RawView) => unknown): Outcome {
    try {
      const result = fn(this);
      if (isThenable(result)) {
        // Its rejection, if it comes to one, is nobody's: the error below is what the caller gets.
        Promise.resolve(result).catch(() => undefined);
        return { kind: "threw", error: new MiyuError("ERR_USAGE", { reason: "the function of a transaction must be synchronous" }) };
      }
      return { kind: "done", result, hooks: this.#hooks };
    } catch (error) {
      return { kind: "threw", error };
    } finally {
      this.#live = false;
    }
  }

  get(key: string): Bytes | undefined {
    this.#check(key);
    const value = this.writes.has(key) ? this.writes.get(key) : this.#read(key);
    return value === undefined ? undefined : copy(value);
  }

  put(key: string, value: Uint8Array): void {
    this.#check(key);
    if (!(value instanceof Uint8Array)) throw new MiyuError("ERR_USAGE", { reason: "a record is a Uint8Array" });
    this.writes.set(key, copy(value));
  }

  remove(key: string): void {
    this.#check(key);
    this.writes.set(key, undefined);
  }

  need(...keys: readonly string[]): void {
    this.#checkLive();
    const missing = keys.filter((key) => !this.#named.has(key));
    if (missing.length === 0) return;
    this.missing = missing;
    throw new Restart();
  }

  afterCommit(hook: () => void): void {
    this.#checkLive();
    this.#hooks.push(hook);
  }

  #check(key: string): void {
    this.#checkLive();
    if (!this.#named.has(key)) throw new MiyuError("ERR_USAGE", { reason: "a record was touched that the transaction did not name" });
  }

  #checkLive(): void {
    if (!this.#live) throw new MiyuError("ERR_USAGE", { reason: "the view of a transaction is valid only while its function runs" });
  }
}

/** The commit stands whatever a hook does, so what it throws is dropped. */
function runHooks(hooks: readonly (() => void)[]): void {
  for (const hook of hooks) {
    try {
      hook();
    } catch {
      continue;
    }
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return ((typeof value === "object" && value !== null) || typeof value === "function") && "then" in value && typeof value.then === "function";
}
