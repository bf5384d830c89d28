// The development peers: other implementations we test and measure against, under GPL or AGPL, which must never reach what we hand out.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { ROOT } from "./entries.mjs";

/** Package names, as in devDependencies. */
const PEERS = ["@privacyresearch/libsignal-protocol-typescript", "libsignal", "@matrix-org/olm"];

/** Names of their APIs that survive bundling and minifying; none of ours. */
const MARKERS = ["SessionCipher", "SessionBuilder", "olm_account", "libsignal-protocol"];

/** @param {string} folder @returns {string[]} every file below it, without nested node_modules */
const filesBelow = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === "node_modules") return [];
    const full = path.join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(full) : [full];
  });

/** @param {string} folder @returns {string[]} `file: marker` for every marker found in code below the folder */
function markersIn(folder) {
  const code = filesBelow(folder).filter((file) => /\.(?:[cm]?js|d\.ts|wasm|html|css)$/u.test(file));
  return code.flatMap((file) => {
    const text = readFileSync(file, "latin1");
    return MARKERS.filter((marker) => text.includes(marker)).map((marker) => `${path.relative(folder, file)}: ${marker}`);
  });
}

/** Throws if a peer's code is in `folder`, or if the markers no longer find the peers where they are. @param {string} folder */
export function assertNoPeers(folder) {
  const unseen = PEERS.filter((peer) => markersIn(`${ROOT}node_modules/${peer}`).length === 0);
  if (unseen.length > 0) throw new Error(`no marker finds ${unseen.join(", ")}: the check is blind`);
  const found = markersIn(folder);
  if (found.length > 0) throw new Error(`a development peer is in ${folder}:\n${found.join("\n")}`);
}
