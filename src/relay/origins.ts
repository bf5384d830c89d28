/** Which web pages may talk to a relay. A page elsewhere would use a visitor's network position, and in a demo the visitor's tokens. */

/** Whether a host name, as in a URL, is this machine. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(host);
}

/** Host name of a `Host` header or an origin, without its port; undefined if it is neither. */
function hostNameOf(text: string): string | undefined {
  const url = text.includes("://") ? text : `http://${text}`;
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}

/** What decides about a request. */
export interface OriginRules {
  /** Origins named by the operator, such as `https://chat.example`. */
  readonly origins: readonly string[];
  /** Whether the relay listens on this machine only. */
  readonly loopback: boolean;
  /** Whether the `Host` must be this machine too: else a page could rebind its own name to it. */
  readonly demo: boolean;
}

/**
 * Whether a request with these `Origin` and `Host` headers may go on: no origin at all (no browser), the relay's own host,
 * a configured origin, and on a loopback relay any page of this machine.
 */
export function originAllowed(rules: OriginRules, origin: string | undefined, host: string | undefined): boolean {
  const ownName = host === undefined ? undefined : hostNameOf(host);
  if (rules.demo && (ownName === undefined || !isLoopback(ownName))) return false;
  if (origin === undefined || rules.origins.includes(origin)) return true;
  if (!URL.canParse(origin)) return false;
  const page = new URL(origin);
  return page.host === host || (rules.loopback && isLoopback(page.hostname));
}
