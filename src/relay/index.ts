/** `miyu/relay`: a relay of your own, for Node. Needs the optional peers `ws` and, for a data directory, `classic-level`. */
export { createRelay, type Relay, type RelayOptions } from "./relay.ts";
export { DEFAULT_LIMITS, type RelayLimits } from "./limits.ts";
export { parseTokens, type Authenticate } from "./tokens.ts";
