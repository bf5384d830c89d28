// `npm run bench [-- --quick]`: every peer in a process of its own, one after the other, then results.json and RESULTS.md.
import { fork } from "node:child_process";
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { cpus, release, type } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ROOT, SOURCES } from "../scripts/entries.mjs";
import { run } from "../scripts/run.mjs";
import { bundles } from "./bundles.mjs";
import { isQuiet, repeatGated, slowness, waitForQuiet } from "./gate.mjs";
import { PEERS } from "./peers.mjs";
import { renderResults } from "./report.mjs";

const quick = process.argv.includes("--quick");
const begun = performance.now();
/** Processes of each peer, in turns: how the engine compiles the same code differs from process to process by a third. */
const PROCESSES = quick ? 1 : 3;
const PEER = fileURLToPath(new URL("./peerChild.mjs", import.meta.url));
const COLD_START = fileURLToPath(new URL("./coldStartChild.mjs", import.meta.url));

/** Milliseconds since 1970 when this was written last; 0 if it is not there. */
const written = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Builds the package if a source is newer than what was built. */
async function build() {
  const sources = readdirSync(`${ROOT}src`, { recursive: true, encoding: "utf8" }).map((path) => written(`${ROOT}src/${path}`));
  const built = SOURCES.map((source) => written(`${ROOT}${source.replace(/^src\//u, "dist/").replace(/\.ts$/u, ".js")}`));
  if (Math.max(...sources) > Math.min(...built)) await run("npm", ["run", "build"]);
}

/** Runs a child to its one message. @returns {Promise<any>} */
function measureIn(child, ...args) {
  return new Promise((resolve, reject) => {
    // What peers print to the standard output is none of the results.
    const running = fork(child, args, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    let message;
    running.once("message", (value) => (message = value));
    running.once("error", reject);
    running.once("exit", (code) => (message === undefined || code !== 0 ? reject(new Error(`${args.join(" ")} ended with ${code}`)) : resolve(message)));
  });
}

/** Medians of fresh processes. */
async function coldStart({ peer, provider }) {
  const limits = quick ? { wanted: 3, maxMs: 0, enough: 3 } : { wanted: 9, maxMs: 8_000 };
  const { stats } = await repeatGated(async () => {
    const before = waitForQuiet();
    const { us, waiting } = await measureIn(COLD_START, peer, provider);
    return { quiet: isQuiet(waiting, Math.max(before, slowness())), values: { coldStart: us } };
  }, limits);
  return stats.coldStart;
}

await build();
const rows = [];
const refused = [];
const counts = { quiet: 0, tries: 0 };
let yardstick;
/** What the processes of a peer measured, by `peer provider`. */
const samples = new Map(PEERS.map(({ peer, provider }) => [`${peer} ${provider}`, []]));
for (let round = 1; round <= PROCESSES; round++) {
  for (const { peer, provider } of PEERS) {
    process.stderr.write(`${peer} ${provider}, process ${round} of ${PROCESSES}\n`);
    const measured = await measureIn(PEER, peer, provider, ...(quick ? ["--quick"] : []));
    yardstick ??= measured.x25519;
    counts.quiet += measured.quiet;
    counts.tries += measured.tries;
    samples.get(`${peer} ${provider}`).push(measured);
  }
}
for (const { peer, provider } of PEERS) {
  const measured = samples.get(`${peer} ${provider}`);
  if (measured[0].refused > 0) refused.push({ peer, provider, refused: measured[0].refused });
  const results = { ...middle(measured.map((one) => one.results)), coldStart: await coldStart({ peer, provider }) };
  for (const [measure, { median, p25, p75, dirty }] of Object.entries(results)) {
    rows.push({ peer, provider, measure, median: rounded(median), p25: rounded(p25), p75: rounded(p75), unit: measure === "stateBytes" ? "B" : "µs", dirty });
  }
}
for (const { peer, provider, name, bytes } of await bundles()) {
  rows.push({ peer, provider, measure: `bundle:${name}`, median: bytes, p25: bytes, p75: bytes, unit: "B", dirty: false });
}

const machine = {
  cpu: cpus()[0]?.model ?? "unknown processor",
  cores: cpus().length,
  platform: `${type()} ${release()}`,
  node: process.versions.node,
  v8: process.versions.v8,
  date: new Date().toISOString().slice(0, 10),
  quick,
  x25519: { ...yardstick, median: rounded(yardstick.median), p25: rounded(yardstick.p25), p75: rounded(yardstick.p75) },
  ...counts,
};
const results = { machine, refused, rows };
const report = renderResults(results);
// One row a line, so that a difference between two runs can be read.
const text = JSON.stringify({ machine, refused, rows: [] }, null, 2).replace(/"rows": \[\]/u, `"rows": [\n    ${rows.map((row) => JSON.stringify(row)).join(",\n    ")}\n  ]`);
writeFileSync(new URL("results.json", import.meta.url), `${text}\n`);
writeFileSync(new URL("RESULTS.md", import.meta.url), report);
process.stdout.write(`${report}\n${Math.round((performance.now() - begun) / 1000)} s\n`);

/** Hundredths are below any noise. */
function rounded(value) {
  return Math.round(value * 100) / 100;
}

/** Of each measure, what the middle one of the processes found; those that were quiet count first. */
function middle(results) {
  const pick = (measure) => {
    const all = results.map((result) => result[measure]);
    const quietOnes = all.filter(({ dirty }) => !dirty);
    const sorted = (quietOnes.length > 0 ? quietOnes : all).sort((one, other) => one.median - other.median);
    return sorted[Math.floor((sorted.length - 1) / 2)];
  };
  return Object.fromEntries(Object.keys(results[0]).map((measure) => [measure, pick(measure)]));
}
