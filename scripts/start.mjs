// `npm start`: builds package and demo, starts the embedded relay on a loopback port with the demo's pages, prints one address.
// Options: --port N (0: any free one), --build-only, --no-build.
import process from "node:process";
import { parseArgs } from "node:util";
import { ROOT } from "./entries.mjs";
import { run } from "./run.mjs";

const DEFAULT_PORT = 8460;

const { values } = parseArgs({
  options: { port: { type: "string" }, "build-only": { type: "boolean" }, "no-build": { type: "boolean" } },
});

async function build() {
  process.stderr.write("Building …\n");
  await run("tsup", ["--no-dts", "--no-clean"]);
  await run("vite", ["build", "examples/chat", "--logLevel", "warn"]);
}

/** @param {number} port */
async function listen(port) {
  const { createRelay } = await import(new URL("../dist/relay/index.js", import.meta.url).href);
  return createRelay({ host: "127.0.0.1", port, memory: true, demo: true, assets: `${ROOT}examples/chat/dist` });
}

async function listenSomewhere() {
  if (values.port !== undefined) return listen(Number(values.port));
  try {
    return await listen(DEFAULT_PORT);
  } catch (error) {
    if (error?.code !== "EADDRINUSE" && error?.cause?.code !== "EADDRINUSE") throw error;
    return listen(0);
  }
}

if (!values["no-build"]) await build();
if (!values["build-only"]) {
  const relay = await listenSomewhere();
  process.stdout.write(`Miyu demo: ${relay.url}\n`);
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => {
      relay.close().then(
        () => process.exit(0),
        (error) => {
          process.stderr.write(`${error}\n`);
          process.exit(1);
        },
      );
    });
  }
}
