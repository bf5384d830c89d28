// Which browsers this machine can run tests in.
//
// Order for Chromium: CHROME_BIN, a system Chromium or Chrome, the build inside the development dependency @sparticuz/chromium.
// Firefox: FIREFOX_BIN or the system's. WebKit: WebKitWebDriver with MiniBrowser, and a display or xvfb-run.
// A variable that names a missing file is an error, never a silent fallback.
// BROWSERS=chromium,firefox narrows the choice (BROWSERS=none: no browser); REQUIRE_BROWSERS=… turns a missing one into a failure.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

/** @typedef {"chromium" | "firefox" | "webkit"} Engine */
/** @typedef {{ engine: Engine, path: string, from: string, driver?: string }} FoundBrowser */

/** @type {readonly Engine[]} */
export const ENGINES = ["chromium", "firefox", "webkit"];

/** Arguments for a Chromium under test: headless in a container, silent on the network. */
export const CHROMIUM_ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** @param {readonly string[]} candidates */
const firstExisting = (candidates) => candidates.find((candidate) => existsSync(candidate));

/** @param {readonly string[]} names */
const onPath = (names) => {
  const folders = (process.env.PATH ?? "").split(path.delimiter).filter(Boolean);
  return firstExisting(names.flatMap((name) => folders.map((folder) => path.join(folder, name))));
};

/** @param {string} name */
const fromEnvironment = (name) => {
  const value = process.env[name];
  if (value && !existsSync(value)) throw new Error(`${name}=${value} does not exist`);
  return value || undefined;
};

/** @param {string} name */
const listed = (name) => (process.env[name] ?? "").split(",").map((entry) => entry.trim()).filter(Boolean);

async function shippedChromium() {
  if (process.platform !== "linux" || process.arch !== "x64") return undefined;
  try {
    createRequire(import.meta.url).resolve("@sparticuz/chromium");
  } catch {
    return undefined;
  }
  const folders = ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64"];
  const present = ["libnss3.so", "libnspr4.so", "libexpat.so.1"].every((library) =>
    firstExisting(folders.map((folder) => path.join(folder, library))),
  );
  // With this variable set before the import, the package unpacks its own NSS and points LD_LIBRARY_PATH at it.
  if (!present) process.env.AWS_EXECUTION_ENV ??= "AWS_Lambda_nodejs20.x";
  const { default: chromium } = await import("@sparticuz/chromium");
  return chromium.executablePath();
}

/** @returns {Promise<FoundBrowser | undefined>} */
async function findChromium() {
  const named = fromEnvironment("CHROME_BIN");
  if (named) return { engine: "chromium", path: named, from: "CHROME_BIN" };
  const installed =
    onPath(["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"]) ??
    firstExisting(["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"]);
  if (installed) return { engine: "chromium", path: installed, from: "the system" };
  const shipped = await shippedChromium();
  return shipped ? { engine: "chromium", path: shipped, from: "@sparticuz/chromium" } : undefined;
}

/** @returns {FoundBrowser | undefined} */
function findFirefox() {
  const named = fromEnvironment("FIREFOX_BIN");
  if (named) return { engine: "firefox", path: named, from: "FIREFOX_BIN" };
  const installed = onPath(["firefox-esr", "firefox"]);
  return installed ? { engine: "firefox", path: installed, from: "the system" } : undefined;
}

/** @returns {FoundBrowser | undefined} */
function findWebKit() {
  const driver = fromEnvironment("WEBKIT_DRIVER") ?? onPath(["WebKitWebDriver"]);
  const folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/libexec"];
  const versions = ["webkit2gtk-4.1", "webkitgtk-6.0", "webkit2gtk-4.0"];
  const browser =
    fromEnvironment("WEBKIT_BIN") ??
    firstExisting(versions.flatMap((version) => folders.map((folder) => path.join(folder, version, "MiniBrowser"))));
  const display = process.env.DISPLAY || onPath(["xvfb-run"]);
  return driver && browser && display ? { engine: "webkit", path: browser, driver, from: "the system" } : undefined;
}

/**
 * Finds the browsers to test in, in the order of ENGINES.
 * @returns {Promise<FoundBrowser[]>}
 */
export async function findBrowsers() {
  const wanted = process.env.BROWSERS === undefined ? ENGINES : listed("BROWSERS");
  const required = listed("REQUIRE_BROWSERS");
  const finders = { chromium: findChromium, firefox: findFirefox, webkit: findWebKit };
  const found = [];
  for (const engine of ENGINES) {
    const browser = wanted.includes(engine) ? await finders[engine]() : undefined;
    if (browser) found.push(browser);
  }
  const lacking = required.filter((engine) => !found.some((browser) => browser.engine === engine));
  if (lacking.length > 0) {
    throw new Error(
      `REQUIRE_BROWSERS names ${lacking.join(", ")}, not found. Debian: apt-get install -y --no-install-recommends ` +
        "chromium firefox-esr webkit2gtk-driver xvfb xauth; or set CHROME_BIN, FIREFOX_BIN.",
    );
  }
  return found;
}

/**
 * One line per engine: where it was found, or that its tests are skipped.
 * @param {readonly FoundBrowser[]} found
 */
export function describeBrowsers(found) {
  return ENGINES.map((engine) => {
    const browser = found.find((candidate) => candidate.engine === engine);
    if (browser) return `browser tests: ${engine} from ${browser.from} (${browser.path})`;
    if (process.env.BROWSERS !== undefined && !listed("BROWSERS").includes(engine)) return `browser tests: SKIPPED in ${engine}, not named in BROWSERS`;
    return `browser tests: SKIPPED in ${engine}, none found (REQUIRE_BROWSERS=${engine} makes this an error)`;
  });
}
