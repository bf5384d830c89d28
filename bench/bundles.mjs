// What each peer costs a browser to load: minified, gzip -9. `scripts/sizes.mjs` counts Miyu's subpaths; the others are bundled the same way.
import { readFileSync } from "node:fs";
import { builtinModules, createRequire } from "node:module";
import { gzipSync } from "node:zlib";
import { bundleSizes, sizeOf } from "../scripts/sizes.mjs";

const require = createRequire(import.meta.url);

/** Everything an app needs, libsodium's WebAssembly included, which the root loads only when it is called for. */
const WITH_SODIUM = ["miyu", "miyu/protocol", "miyu/crypto/sodium", "libsodium-wrappers"];

/** Libraries in one piece. olm's WebAssembly is a file of its own; libsignal needs Node's crypto besides, which is not counted. */
const LIBRARIES = [
  { peer: "libsignal-npm", module: "libsignal", files: [] },
  { peer: "privacyresearch", module: "@privacyresearch/libsignal-protocol-typescript", files: [] },
  { peer: "olm", module: "@matrix-org/olm", files: ["@matrix-org/olm/olm.wasm"] },
];

/**
 * Sizes in bytes, gzip.
 * @returns {Promise<{ peer: string, provider: string, name: string, bytes: number }[]>} `name` is the subpath, or `all`
 */
export async function bundles() {
  const rows = [];
  for (const { name, gzip } of await bundleSizes()) {
    const provider = name.includes("noble") ? "noble" : name.includes("sodium") ? "sodium" : "any";
    rows.push({ peer: "miyu", provider, name, bytes: gzip });
  }
  rows.push({ peer: "miyu", provider: "sodium", name: "root+protocol+sodium", bytes: (await sizeOf(WITH_SODIUM)).gzip });
  for (const { peer, module, files } of LIBRARIES) {
    const { gzip } = await sizeOf([module], [...builtinModules, "node:*"]);
    const beside = files.reduce((sum, file) => sum + gzipSync(readFileSync(require.resolve(file)), { level: 9 }).length, 0);
    rows.push({ peer, provider: "own", name: "all", bytes: gzip + beside });
  }
  return rows;
}
