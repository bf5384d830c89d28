#!/usr/bin/env node
/** The `miyu` command. `miyu relay` prints one line, its URL, when it listens; anything wrong is one line on stderr. */
import { readFile } from "node:fs/promises";
import process from "node:process";
import { MiyuError } from "../errors.ts";
import { createRelay, parseTokens, type RelayOptions } from "../relay/index.ts";
import { HELP, parseCommand, type RelayFlags } from "./flags.ts";

/** Exit codes: 1 something failed, 2 the command line is wrong. */
const FAILED = 1;
const MISUSED = 2;

async function relayOptions(flags: RelayFlags): Promise<RelayOptions> {
  const { tokensFile, ...rest } = flags;
  if (tokensFile === undefined) return rest;
  const text = await readFile(tokensFile, "utf8").catch((cause: unknown) => {
    throw new MiyuError("ERR_USAGE", { reason: "the token file cannot be read" }, { cause });
  });
  return { ...rest, tokens: parseTokens(text) };
}

async function runRelay(flags: RelayFlags): Promise<void> {
  const relay = await createRelay(await relayOptions(flags));
  const stop = (): void => {
    // A second signal ends the program the hard way; nothing accepted is lost by that either.
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, stop);
    relay.close().catch(fail);
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, stop);
  process.stdout.write(`${relay.url}\n`);
}

function fail(error: unknown): void {
  const text = MiyuError.is(error, "ERR_USAGE") ? error.detail.reason : error instanceof Error ? error.message : "failed";
  process.stderr.write(`miyu: ${text.split("\n")[0] ?? ""}\n`);
  process.exitCode = MiyuError.is(error, "ERR_USAGE") ? MISUSED : FAILED;
}

async function version(): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));
  return typeof manifest === "object" && manifest !== null && "version" in manifest ? String(manifest.version) : "unknown";
}

try {
  const command = parseCommand(process.argv.slice(2));
  if (command.kind === "relay") await runRelay(command.flags);
  else process.stdout.write(command.kind === "help" ? HELP : `${await version()}\n`);
} catch (error) {
  fail(error);
}
