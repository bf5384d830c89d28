/** Who a token belongs to: a file of tokens, the tokens of a demo, or the app's own word. */
import { createHash } from "node:crypto";
import { fromUtf8, utf8 } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import { MAX_USER } from "../transport/relayFrames.ts";
import type { UserId } from "../transport/types.ts";

/** Says which user a token belongs to; undefined if to none. */
export type Authenticate = (token: string) => UserId | undefined | Promise<UserId | undefined>;

/**
 * Reads a token file: one `token user` per line, blank lines and lines that begin with `#` left out. A user may hold spaces.
 * @throws {MiyuError} ERR_USAGE naming the line, never its text
 */
export function parseTokens(text: string): Map<string, UserId> {
  const tokens = new Map<string, UserId>();
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    const [, token, user] = /^(\S+)\s+(.+)$/.exec(trimmed) ?? [];
    if (token === undefined || user === undefined) throw new MiyuError("ERR_USAGE", { reason: `line ${String(i + 1)} of the token file is not "token user"` });
    if (tokens.has(token)) throw new MiyuError("ERR_USAGE", { reason: `line ${String(i + 1)} of the token file repeats a token` });
    tokens.set(token, user);
  }
  return tokens;
}

/** Looks tokens up by their hash, so that the time taken says nothing about a token that is nearly right. */
export function tokenLookup(tokens: ReadonlyMap<string, UserId>): Authenticate {
  const hash = (token: string): string => createHash("sha256").update(token).digest("base64");
  const byHash = new Map([...tokens].map(([token, user]) => [hash(token), user]));
  return (token) => byHash.get(hash(token));
}

/** Accepts `demo:` and any user name, percent-encoded where it is not ASCII. */
export const demoTokens: Authenticate = (token) => {
  if (!token.startsWith("demo:")) return undefined;
  try {
    return decodeURIComponent(token.slice(5));
  } catch {
    return undefined;
  }
};

/** Asks each in turn. A user id the wire cannot carry counts as no. */
export function firstOf(all: readonly Authenticate[]): (token: string) => Promise<UserId | undefined> {
  return async (token) => {
    for (const authenticate of all) {
      const user = await authenticate(token);
      if (user === undefined) continue;
      const bytes = utf8(user);
      return bytes.length > 0 && bytes.length <= MAX_USER && fromUtf8(bytes) === user ? user : undefined;
    }
    return undefined;
  };
}
