import { retryable } from "./wire.ts";

/**
 * Codes that this library adds to those of the server. They lie below 4000, where the server has none.
 */
export const Local = {
  /** `close()` was called. */
  closed: 3900,
  /** The queue of unacknowledged requests is full. */
  full: 3901,
  /** Sent on a live channel just before the connection broke: it may or may not have arrived. */
  unconfirmed: 3902,
  /** A volatile message that cannot be sent now, a request over HTTP without a network. */
  offline: 3903,
  /** The channel's own schema did not accept the data, or JSON cannot say it; nor the browser the server's address; an option is missing. */
  invalid: 3904,
  /** `unsubscribe()` was called. */
  unsubscribed: 3905,
  /** Nothing was heard for too long, so the connection counts as lost. */
  silent: 3906,
  /** The network came back, so a new dial replaces the one that was under way. */
  online: 3907,
  /** No token could be had; it will be asked for again. */
  token: 3908,
  /** What came over HTTP is not an answer of this server. */
  unreadable: 3909,
} as const;

/**
 * A typed "no". `code` and `reason` come from the server's list (schemas/errors.json) or from {@link Local};
 * `retry` says whether the same request may succeed later.
 */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly code: number;
  readonly reason: string;
  readonly retry: boolean;

  constructor(code: number, reason: string, retry = retryable(code), message?: string) {
    super(message ?? `${reason} (${code})`);
    this.code = code;
    this.reason = reason;
    this.retry = retry;
  }
}
