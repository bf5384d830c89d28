/** What the relay allows, and the two counters that hold users to it. Time comes in as an argument. */

/** Bounds of one relay. Sizes in bytes, times in milliseconds. */
export interface RelayLimits {
  /** Largest body of one send. */
  readonly body: number;
  /** Messages in one mailbox; a send that finds a full one is refused. */
  readonly mailboxMessages: number;
  /** Bytes in one mailbox. */
  readonly mailboxBytes: number;
  /** Devices of one user. */
  readonly devices: number;
  /** Users without a device that mail may wait for. */
  readonly waitingUsers: number;
  /** Sends a user may make per second, over time, and at once. */
  readonly sendsPerSecond: number;
  readonly sendBurst: number;
  /** Directory requests a user may make per second, over time, and at once. */
  readonly requestsPerSecond: number;
  readonly requestBurst: number;
  /** Directory record. */
  readonly record: number;
  /** One-time prekeys kept for one device, and the size of each. */
  readonly prekeys: number;
  readonly prekeyBytes: number;
  /** Claims of one user from one device per hour. */
  readonly claimsPerHour: number;
  /** Idempotency keys remembered for one device. */
  readonly keys: number;
  /** Messages sent to a device before it says that it settled some. */
  readonly window: number;
  /** Time a socket has for its hello. */
  readonly helloMs: number;
  /** Time between two pings; a socket that answered none in between is cut. */
  readonly heartbeatMs: number;
  /** Open sockets. */
  readonly sockets: number;
}

/** The limits that hold where none are given. */
export const DEFAULT_LIMITS: RelayLimits = {
  body: 1 << 20,
  mailboxMessages: 10_000,
  mailboxBytes: 64 << 20,
  devices: 32,
  waitingUsers: 10_000,
  sendsPerSecond: 200,
  sendBurst: 1_000,
  requestsPerSecond: 50,
  requestBurst: 500,
  record: 1 << 18,
  prekeys: 200,
  prekeyBytes: 4_096,
  claimsPerHour: 3,
  keys: 2_048,
  window: 128,
  helloMs: 10_000,
  heartbeatMs: 30_000,
  sockets: 10_000,
};

const HOUR_MS = 3_600_000;
/** Entries after which idle ones are swept out. */
const SWEEP_AT = 10_000;

/** Token buckets by name. */
export interface RateLimit {
  /** Takes one token of `name`. Returns 0, or after how many milliseconds to try again. */
  take(name: string, now: number): number;
}

/** Buckets that fill with `perSecond` tokens up to `burst`. */
export function rateLimit(perSecond: number, burst: number): RateLimit {
  const buckets = new Map<string, { tokens: number; at: number }>();
  const filled = (bucket: { tokens: number; at: number }, now: number): number =>
    Math.min(burst, bucket.tokens + (Math.max(0, now - bucket.at) * perSecond) / 1000);
  return {
    take(name, now) {
      if (buckets.size > SWEEP_AT) for (const [key, bucket] of buckets) if (filled(bucket, now) >= burst) buckets.delete(key);
      const bucket = buckets.get(name) ?? { tokens: burst, at: now };
      const tokens = filled(bucket, now);
      buckets.set(name, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
      return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) * 1000) / perSecond);
    },
  };
}

/** Counts per name within the last hour. */
export interface HourlyLimit {
  /** Counts one use of `name`, unless `most` were made within the hour. Returns 0, or after how many milliseconds to try again. */
  take(name: string, now: number): number;
}

/** At most `most` uses of each name in any hour. Kept in memory: a restart forgets it. */
export function hourlyLimit(most: number): HourlyLimit {
  const uses = new Map<string, number[]>();
  const recent = (times: readonly number[], now: number): number[] => times.filter((at) => at > now - HOUR_MS && at <= now);
  return {
    take(name, now) {
      if (uses.size > SWEEP_AT) for (const [key, times] of uses) if (recent(times, now).length === 0) uses.delete(key);
      const times = recent(uses.get(name) ?? [], now);
      const oldest = times[0];
      if (times.length >= most) return oldest === undefined ? HOUR_MS : oldest + HOUR_MS - now;
      uses.set(name, [...times, now]);
      return 0;
    },
  };
}
