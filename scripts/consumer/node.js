// In an empty project: every subpath imports, and two clients talk, with each provider.
import { readFileSync } from "node:fs";
import process from "node:process";
import { nobleCrypto } from "miyu/crypto/noble";
import { memoryStore } from "miyu/store/memory";
import { roundTrip } from "./roundTrip.js";

const { exports } = JSON.parse(readFileSync("node_modules/miyu/package.json", "utf8"));
for (const subpath of Object.keys(exports)) {
  if (subpath === "./package.json") continue;
  const names = Object.keys(await import(`miyu${subpath.slice(1)}`));
  if (names.length === 0 || names.includes("default")) throw new Error(`miyu${subpath.slice(1)} exports ${names.join(", ") || "nothing"}`);
}
process.stdout.write(`${await roundTrip(() => ({ store: memoryStore() }))}\n`);
process.stdout.write(`${await roundTrip(() => ({ store: memoryStore(), crypto: nobleCrypto }))}\n`);
