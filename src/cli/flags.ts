/** The command line of `miyu`, as a value. */
import { parseArgs } from "node:util";
import { MiyuError } from "../errors.ts";
import type { RelayOptions } from "../relay/index.ts";

/** What `miyu --help` prints. */
export const HELP = `Usage: miyu relay [options]

Runs a relay and prints its URL.

  --port N        port to listen on (default 8787; 0 takes a free one)
  --host H        address to listen on (default 127.0.0.1, this machine only)
  --data DIR      keep messages and keys in DIR (default ./miyu-relay)
  --memory        keep them in memory instead
  --tokens FILE   one "token user" per line
  --origin URL    let pages of this origin connect; may be repeated
  --demo          accept demo:NAME as a token and show what the relay sees; loopback only
  --assets DIR    serve static files from DIR
  --help          print this
  --version       print the version
`;

/** Options of `miyu relay`, with the token file still to be read. */
export type RelayFlags = Omit<RelayOptions, "tokens" | "authenticate" | "limits" | "now" | "random"> & { readonly tokensFile?: string };

/** What to do. */
export type Command = { readonly kind: "help" } | { readonly kind: "version" } | { readonly kind: "relay"; readonly flags: RelayFlags };

/** Reads the arguments after `miyu`. @throws {MiyuError} ERR_USAGE with one line that says what is wrong */
export function parseCommand(args: readonly string[]): Command {
  const { values, positionals } = parse(args);
  if (values.help === true) return { kind: "help" };
  if (values.version === true) return { kind: "version" };
  if (positionals.length !== 1 || positionals[0] !== "relay") throw usage(positionals.length === 0 ? "say what to run: miyu relay" : "the only command is: miyu relay");
  if (values.memory === true && values.data !== undefined) throw usage("--memory and --data exclude each other");
  if (values.tokens === undefined && values.demo !== true) throw usage("a relay needs --tokens FILE (or --demo on this machine)");
  for (const origin of values.origin ?? []) {
    if (!URL.canParse(origin) || new URL(origin).origin !== origin) throw usage("--origin wants an origin such as https://chat.example");
  }
  return {
    kind: "relay",
    flags: {
      port: portOf(values.port ?? "8787"),
      ...(values.host === undefined ? {} : { host: values.host }),
      ...(values.memory === true ? { memory: true } : { dataDir: values.data ?? "miyu-relay" }),
      ...(values.tokens === undefined ? {} : { tokensFile: values.tokens }),
      ...(values.origin === undefined ? {} : { origins: values.origin }),
      ...(values.demo === true ? { demo: true } : {}),
      ...(values.assets === undefined ? {} : { assets: values.assets }),
    },
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        port: { type: "string" },
        host: { type: "string" },
        data: { type: "string" },
        memory: { type: "boolean" },
        tokens: { type: "string" },
        origin: { type: "string", multiple: true },
        demo: { type: "boolean" },
        assets: { type: "string" },
        help: { type: "boolean", short: "h" },
        version: { type: "boolean", short: "v" },
      },
    });
  } catch (cause) {
    throw new MiyuError("ERR_USAGE", { reason: cause instanceof Error ? (cause.message.split(". ")[0] ?? "wrong flags") : "wrong flags" }, { cause });
  }
}

function portOf(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw usage("--port wants a number from 0 to 65535");
  return Number(text);
}

function usage(reason: string): MiyuError {
  return new MiyuError("ERR_USAGE", { reason });
}
