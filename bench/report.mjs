// RESULTS.md, generated from results.json: the goals, one table of times and one of sizes. Nothing in it that is not in the rows.

/** Timed measures, in µs, in the order they are shown. */
export const TIMES = {
  establish: "session established (prekeys, bundle, first message out and in)",
  encrypt: "encrypt 256 B",
  decrypt: "decrypt 256 B",
  pingpong: "ping-pong, there and back",
  outOfOrder1000: "1,000 messages in disorder, each",
  fanout100: "encrypt to 100 sessions",
  coldStart: "fresh process to first message",
  clientEncrypt: "client.encrypt (envelope, sealed memory store)",
  clientDecrypt: "client.decrypt (envelope, sealed memory store)",
};

/** Measures in bytes other than `bundle:NAME`. */
export const SIZES = { stateBytes: "stored session after 20 turns" };

/** X25519 of the machine the goal was set for, µs, and what encrypting and decrypting may take together there. */
const GOAL_X25519 = 140;
const GOAL_STEADY = 150;
/** Bytes, gzip. */
const GOAL_BUNDLE = { name: "bundle:root+protocol+noble", bytes: 50_000 };

/** The column all ratios refer to. */
const BASE = { peer: "miyu", provider: "sodium" };

/**
 * @typedef {object} Row
 * @property {string} peer
 * @property {string} provider where the primitives come from: `sodium`, `noble`, `own` of the peer, `any` where it does not matter
 * @property {string} measure
 * @property {number} median
 * @property {number} p25
 * @property {number} p75
 * @property {"µs" | "B"} unit
 * @property {boolean} dirty too few quiet repetitions: the value is a guess and meets no goal
 */

/**
 * @typedef {object} Results
 * @property {{ cpu: string, cores: number, node: string, v8: string, platform: string, date: string, quick: boolean,
 *   x25519: { median: number, p25: number, p75: number, dirty: boolean }, quiet: number, tries: number }} machine
 * @property {{ peer: string, provider: string, refused: number }[]} refused messages of `outOfOrder1000` that did not open
 * @property {Row[]} rows
 */

/** @param {readonly Row[]} rows @param {{ peer: string, provider: string }} column @param {string} measure */
const find = (rows, { peer, provider }, measure) => rows.find((row) => row.peer === peer && row.provider === provider && row.measure === measure);

/**
 * Whether the goals are met.
 * @param {Results} results
 * @returns {{ goal: string, measured: string, verdict: "met" | "not met" | "not judged: noisy" | "not judged: not measured" }[]}
 */
export function goals({ machine, rows }) {
  const encrypt = find(rows, BASE, "encrypt");
  const decrypt = find(rows, BASE, "decrypt");
  const bundle = rows.find(({ peer, measure }) => peer === "miyu" && measure === GOAL_BUNDLE.name);
  const limit = (GOAL_STEADY * machine.x25519.median) / GOAL_X25519;
  const judge = (used, value, most) => {
    if (used.includes(undefined)) return "not judged: not measured";
    if (used.some(({ dirty }) => dirty)) return "not judged: noisy";
    return value <= most ? "met" : "not met";
  };
  const steady = (encrypt?.median ?? NaN) + (decrypt?.median ?? NaN);
  return [
    {
      goal: `encrypt + decrypt, sodium: at most ${GOAL_STEADY} µs where X25519 takes ${GOAL_X25519} µs, so ${number(limit)} µs here`,
      measured: `${number(steady)} µs`,
      verdict: judge([encrypt, decrypt, machine.x25519], steady, limit),
    },
    {
      goal: `root, protocol and noble together: at most ${number(GOAL_BUNDLE.bytes)} B`,
      measured: `${number(bundle?.median ?? NaN)} B`,
      verdict: judge([bundle], bundle?.median, GOAL_BUNDLE.bytes),
    },
  ];
}

/** @param {Results} results @returns {string} RESULTS.md */
export function renderResults(results) {
  const { machine, rows, refused } = results;
  const columns = [];
  for (const { peer, provider } of rows) {
    if (provider !== "any" && !columns.some((column) => column.peer === peer && column.provider === provider)) columns.push({ peer, provider });
  }
  const title = ({ peer, provider }) => (provider === "own" ? peer : `${peer} ${provider}`);
  const measured = (names) => Object.entries(names).filter(([measure]) => rows.some((row) => row.measure === measure));
  const unequal = (column, measure) => measure === "outOfOrder1000" && refused.some(({ peer, provider }) => peer === column.peer && provider === column.provider);
  const cells = (measure) =>
    columns.map((column) => cell(find(rows, column, measure), unequal(column, measure) ? undefined : find(rows, BASE, measure)));
  const bundles = rows.filter(({ measure }) => measure.startsWith("bundle:"));
  const { x25519 } = machine;
  const lines = [
    "# Results",
    "",
    "Written by `npm run bench` from `results.json`; what is measured and how noise is kept out: [README](README.md).",
    "",
    `${machine.cpu}, ${machine.cores} cores, ${machine.platform}, Node ${machine.node} (V8 ${machine.v8}), ${machine.date}.`,
    `One X25519 of libsodium takes ${cell({ ...x25519, unit: "µs" }, undefined)} µs here. ${machine.quiet} of ${machine.tries} repetitions were quiet.`,
    ...(machine.quick ? ["", "**A quick run: few repetitions, for a first look only.**"] : []),
    "",
    "## Goals",
    "",
    ...table(["goal", "measured", ""], goals(results).map(({ goal, measured: value, verdict }) => [goal, value, verdict])),
    "",
    "## Times",
    "",
    "µs: median (25th to 75th percentile), then the ratio to Miyu on sodium. ~ marks a noisy value, which meets no goal.",
    "",
    ...table(["", ...columns.map(title)], measured(TIMES).map(([measure, text]) => [text, ...cells(measure)])),
    "",
    ...refused.map((entry) => `${title(entry)} keeps fewer keys and refused ${entry.refused} of the 1,000 messages in disorder, so its time there is not comparable.`),
    ...(refused.length > 0 ? [""] : []),
    "## Stored bytes",
    "",
    ...table(["", ...columns.map(title)], measured(SIZES).map(([measure, text]) => [text, ...cells(measure)])),
    "",
    "## Bundles",
    "",
    "Bytes, minified, gzip -9. Miyu's subpaths count what loads at once; `root+protocol+sodium` has libsodium's WebAssembly in it.",
    "",
    ...table(["peer", "bundle", "B"], bundles.map(({ peer, measure, median }) => [peer, measure.slice("bundle:".length), number(median)])),
    "",
  ];
  return lines.join("\n");
}

/** @param {Row | undefined} row @param {Row | undefined} base */
function cell(row, base) {
  if (!row) return "–";
  const spread = row.p25 === row.p75 ? "" : ` (${number(row.p25)}–${number(row.p75)})`;
  const ratio = base === undefined ? "" : `, ×${(row.median / base.median).toPrecision(2).replace(/e\+.*/u, "")}`;
  return `${row.dirty ? "~" : ""}${number(row.median)}${spread}${base === row ? "" : ratio}`;
}

/** Three digits, or all before the point, with commas. @param {number} value */
function number(value) {
  if (!Number.isFinite(value)) return "–";
  const [whole, rest] = (value >= 100 ? value.toFixed(0) : value.toPrecision(3)).split(".");
  return whole.replace(/\B(?=(\d{3})+$)/gu, ",") + (rest === undefined ? "" : `.${rest}`);
}

/** @param {readonly string[]} head @param {readonly (readonly string[])[]} body */
function table(head, body) {
  const line = (fields) => `| ${fields.join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...body.map(line)];
}
