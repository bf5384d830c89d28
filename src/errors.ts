/**
 * The one error class of the library. Codes are stable strings and part of the public API; details carry
 * numbers and public identifiers only, never a key, a plaintext or a reason that would make an oracle.
 */

/** What each code may say about itself beyond its name. Numbers and public identifiers only. */
export interface ErrorDetail {
  /** A call was wrong: fix the call. */
  ERR_USAGE: { readonly reason: string };
  /** The client, store or transport was closed. */
  ERR_CLOSED: { readonly what: string };
  /** The store is locked: unlock it first. */
  ERR_LOCKED: { readonly what: string };
  /** Bytes that are not a well-formed frame or record. */
  ERR_DECODE: { readonly what: string; readonly offset?: number };
  /** A frame or record of a version this release does not know. */
  ERR_VERSION: { readonly what: string; readonly version: number };
  /** A message that did not decrypt. Deliberately without a reason. */
  ERR_DECRYPT: Readonly<Record<never, never>>;
  /** A message that was already decrypted once. */
  ERR_DUPLICATE: Readonly<Record<never, never>>;
  /** There is no session with that device. */
  ERR_NO_SESSION: { readonly device?: string };
  /** A first message names a prekey this device does not hold (any more). */
  ERR_NO_PREKEY: { readonly id?: number };
  /** A signature did not verify. */
  ERR_SIGNATURE: { readonly what: string };
  /** The user's account key is not the trusted one. */
  ERR_IDENTITY_CHANGED: { readonly user: string };
  /** A weaker suite than the peer or the policy allows. */
  ERR_DOWNGRADE: { readonly device?: string };
  /** A device list that breaks the rules of its account. */
  ERR_DEVICE_LIST: { readonly user: string; readonly rule: string };
  /** The store cannot be reached now. Retry later. */
  ERR_STORE_UNAVAILABLE: { readonly reason: string };
  /** A stored record failed its integrity check. */
  ERR_STORE_CORRUPT: { readonly what: string };
  /** The store, or the key that opens it, is gone. */
  ERR_STORE_LOST: { readonly what: string };
  /** The store went back to an older state. */
  ERR_ROLLBACK: { readonly what: string };
  /** The store was written by a newer release. */
  ERR_SCHEMA: { readonly found: number; readonly known: number };
  /** No space left. Nothing was written. */
  ERR_QUOTA: Readonly<Record<never, never>>;
  /** The passphrase does not open the file. */
  ERR_PASSPHRASE: Readonly<Record<never, never>>;
  /** The transport cannot deliver now. Retry; `retryAfterMs` (milliseconds) where the server said when. */
  ERR_TRANSPORT_UNAVAILABLE: { readonly reason: string; readonly retryAfterMs?: number };
  /** The server refused. Retrying the same call does not help. */
  ERR_TRANSPORT_REJECTED: { readonly reason: string };
  /** Larger than the transport or the envelope carries. Sizes in bytes. */
  ERR_TOO_LARGE: { readonly size: number; readonly limit: number };
  /** The caller's `AbortSignal` fired. */
  ERR_ABORTED: Readonly<Record<never, never>>;
  /** A bug in this library. Please report it. */
  ERR_INTERNAL: { readonly what: string };
}

/** Every error code. */
export type ErrorCode = keyof ErrorDetail;

/** Codes whose detail may be left out. */
export type PlainCode = { [C in ErrorCode]: Record<never, never> extends ErrorDetail[C] ? C : never }[ErrorCode];

/** The error every public function throws or rejects with. */
export class MiyuError<C extends ErrorCode = ErrorCode> extends Error {
  /** Always `"MiyuError"`. */
  override readonly name = "MiyuError";
  /** What went wrong. */
  readonly code: C;
  /** Public facts that belong to `code`. */
  readonly detail: ErrorDetail[C];

  /** `options.cause` is the original error of a store, a transport or a vendor library; never one of `crypto`. */
  constructor(code: C, ...rest: C extends PlainCode ? [detail?: ErrorDetail[C], options?: ErrorOptions] : [detail: ErrorDetail[C], options?: ErrorOptions]) {
    const [detail, options] = rest;
    super(describe(code, detail), options);
    this.code = code;
    this.detail = (detail ?? {}) as ErrorDetail[C];
  }

  /** Whether `error` is a {@link MiyuError}, and of `code` if one is given. Works across copies of this library. */
  static is<K extends ErrorCode = ErrorCode>(error: unknown, code?: K): error is MiyuError<K> {
    return error instanceof Error && error.name === "MiyuError" && "code" in error && (code === undefined || error.code === code);
  }
}

function describe(code: ErrorCode, detail: object | undefined): string {
  const facts = Object.entries(detail ?? {}).map(([key, value]) => `${key}: ${String(value)}`);
  return facts.length === 0 ? code : `${code} (${facts.join(", ")})`;
}
