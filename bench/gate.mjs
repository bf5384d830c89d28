// Tells a quiet repetition from one that other programs disturbed. A repetition is quiet if the thread hardly waited for a processor
// (Linux: schedstat) and if a fixed loop, run right before and after it, was about as fast as it ever was in this process: that shows
// a neighbour on the same physical core, a stolen virtual one and a changed clock, which no load average shows.
import { readFileSync } from "node:fs";
import process from "node:process";
import { quartiles } from "./statistics.mjs";

/** Most of a repetition's time that may pass waiting for a processor. */
const MAX_WAITING = 0.08;
/** How much slower than at its fastest the loop may be. */
const MAX_SLOWER = 1.15;
/** Quiet repetitions a result needs; with fewer it is dirty. */
const MIN_QUIET = 5;
/** Milliseconds one repetition may be put off, and all of them together. */
const MAX_PAUSE = 400;
const MAX_PAUSES = 15_000;

const SCHEDSTAT = `/proc/self/task/${process.pid}/schedstat`;
const TABLE = Int32Array.from({ length: 1024 }, (_, i) => Math.imul(i, 2654435761));
const pauseCell = new Int32Array(new SharedArrayBuffer(4));

let fastest = Infinity;
let pauses = 0;

/** Milliseconds the loop takes now. */
function timeLoop() {
  const begun = performance.now();
  let a = 1;
  let b = 2;
  let c = 3;
  for (let i = 0; i < 150_000; i++) {
    a = (Math.imul(a, 33) + TABLE[i & 1023]) | 0;
    b = Math.imul(b, 17) ^ TABLE[(i + 7) & 1023];
    c = ((c + a) ^ (b << 3)) + (TABLE[(i * 3) & 1023] >>> 3);
  }
  // Used, or an optimiser would drop the loop.
  TABLE[1023] = a ^ b ^ c;
  const took = performance.now() - begun;
  fastest = Math.min(fastest, took);
  return took;
}

/** Milliseconds this thread has waited for a processor since it began; 0 where that cannot be known. */
export function waitedForProcessor() {
  try {
    return Number(readFileSync(SCHEDSTAT, "utf8").split(" ")[1]) / 1e6;
  } catch {
    return 0;
  }
}

/** How slow the machine is now, as a multiple of its fastest in this process. */
export function slowness() {
  if (fastest === Infinity) for (let i = 0; i < 200; i++) timeLoop();
  return Math.min(timeLoop(), timeLoop()) / fastest;
}

/** Waits, blocking, until the machine is quiet, but not for long. @returns {number} slowness at the end */
export function waitForQuiet() {
  const begun = performance.now();
  let now = slowness();
  while (now > MAX_SLOWER && pauses < MAX_PAUSES && performance.now() - begun < MAX_PAUSE) {
    const paused = performance.now();
    Atomics.wait(pauseCell, 0, 0, 20);
    now = slowness();
    pauses += performance.now() - paused;
  }
  return now;
}

/** @param {number} waiting share of the time @param {number} slower the worst slowness around it */
export const isQuiet = (waiting, slower) => waiting <= MAX_WAITING && slower <= MAX_SLOWER;

/** Starts a repetition. @returns {() => { ms: number, quiet: boolean }} ends it */
export function gate() {
  const before = waitForQuiet();
  const waited = waitedForProcessor();
  const begun = performance.now();
  return () => {
    const ms = performance.now() - begun;
    const waiting = (waitedForProcessor() - waited) / ms;
    return { ms, quiet: isQuiet(waiting, Math.max(before, slowness())) };
  };
}

/**
 * Runs `repeat` until enough repetitions were quiet or the time is over. Its result holds one number for each of its measures.
 * @param {() => Promise<{ quiet: boolean, values: Record<string, number> }>} repeat
 * @param {{ wanted: number, maxMs: number, enough?: number }} limits `enough`: quiet repetitions a result needs, else 5
 * @returns {Promise<{ quiet: number, tries: number, stats: Record<string, { median: number, p25: number, p75: number, dirty: boolean }> }>}
 */
export async function repeatGated(repeat, { wanted, maxMs, enough = MIN_QUIET }) {
  const rows = [];
  const begun = performance.now();
  let quiet = 0;
  while (quiet < wanted && (rows.length < enough || performance.now() - begun < maxMs)) {
    const row = await repeat();
    rows.push(row);
    if (row.quiet) quiet++;
  }
  const dirty = quiet < enough;
  const names = Object.keys(rows[0].values);
  const total = ({ values }) => names.reduce((sum, name) => sum + values[name], 0);
  // Disturbances only ever add time, so without enough quiet repetitions the fastest quarter comes nearest.
  const used = dirty
    ? [...rows].sort((a, b) => total(a) - total(b)).slice(0, Math.max(3, Math.ceil(rows.length / 4)))
    : rows.filter((row) => row.quiet);
  const stats = Object.fromEntries(names.map((name) => [name, { ...quartiles(used.map(({ values }) => values[name])), dirty }]));
  return { quiet, tries: rows.length, stats };
}
