// `npm run verify`: everything but the tests. Each step is reported; the last line counts them as "N passed, N failed, N skipped".
// Names given as arguments run only the steps that contain one of them: `npm run verify -- lint types`.
import { readFileSync } from "node:fs";
import process from "node:process";
import { checkDocsCode } from "./docs-code.mjs";
import { ROOT } from "./entries.mjs";
import { packChecks } from "./pack.mjs";
import { run } from "./run.mjs";
import { bundleSizes } from "./sizes.mjs";

/** The goal for what an app without WebAssembly loads, gzip bytes. */
const GOAL = { name: "root+protocol+noble", gzip: 50_000 };

/** Lines shown of what a failed step printed. */
const MAX_LINES = 100;

/** A lock file written where some platform's packages could not be seen installs here and nowhere else; one that names a registry only there. */
function checkLock() {
  const { packages } = JSON.parse(readFileSync(`${ROOT}package-lock.json`, "utf8"));
  const entries = Object.entries(packages);
  const names = new Set(entries.map(([key]) => key.split("node_modules/").pop()));
  const holes = entries.flatMap(([key, entry]) =>
    Object.keys(entry.optionalDependencies ?? {}).filter((name) => !names.has(name)).map((name) => `${key} lacks ${name}`),
  );
  const hosts = entries.flatMap(([key, { resolved }]) => (resolved && !resolved.startsWith("https://registry.npmjs.org/") ? [`${key} names ${new URL(resolved).host}`] : []));
  if (holes.length + hosts.length > 0) throw new Error([...holes, ...hosts].join("\n"));
  return `${entries.length} packages`;
}

async function checkSizes() {
  const rows = await bundleSizes();
  const combined = rows.find(({ name }) => name === GOAL.name);
  if (combined === undefined || combined.gzip > GOAL.gzip) throw new Error(`${GOAL.name} is ${combined?.gzip} B gzip, the goal is ${GOAL.gzip}`);
  return `${GOAL.name} ${combined.gzip} B gzip`;
}

async function checkDocs() {
  const { documents, modules } = await checkDocsCode();
  if (modules === 0) throw new Error("no code block was found");
  return `${modules} blocks in ${documents} documents`;
}

/** @type {{ name: string, check: () => unknown }[]} */
const steps = [
  { name: "lock file is complete", check: checkLock },
  { name: "lint", check: () => run("eslint", [".", "--max-warnings", "0"]).then(() => undefined) },
  { name: "types", check: () => run("tsc", ["-p", "."]).then(() => undefined) },
  { name: "build", check: () => run("tsup", []).then(() => undefined) },
  { name: "publint", check: () => run("publint", ["--strict"]).then(() => undefined) },
  { name: "are the types wrong", check: () => run("attw", ["--pack", ".", "--profile", "esm-only"]).then(() => undefined) },
  { name: "knip", check: () => run("knip", ["--no-config-hints"]).then(() => undefined) },
  { name: "typedoc", check: () => run("typedoc", []).then(() => undefined) },
  { name: "documentation code", check: checkDocs },
  { name: "bundle sizes", check: checkSizes },
  ...packChecks(),
];

const wanted = process.argv.slice(2);
const counts = { passed: 0, failed: 0, skipped: 0 };
for (const { name, check } of steps) {
  if (wanted.length > 0 && !wanted.some((word) => name.includes(word))) {
    counts.skipped++;
    continue;
  }
  const begun = performance.now();
  const seconds = () => `${((performance.now() - begun) / 1000).toFixed(1)} s`;
  try {
    const note = await check();
    counts.passed++;
    process.stdout.write(`ok    ${name}${note ? ` (${note})` : ""}, ${seconds()}\n`);
  } catch (error) {
    counts.failed++;
    const lines = String(error?.message ?? error).split("\n");
    const shown = lines.length > MAX_LINES ? [...lines.slice(0, MAX_LINES), `… and ${lines.length - MAX_LINES} lines more`] : lines;
    process.stdout.write(`FAIL  ${name}, ${seconds()}\n${shown.join("\n").replace(/^/gmu, "      ")}\n`);
  }
}
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
process.exitCode = counts.failed > 0 ? 1 : 0;
