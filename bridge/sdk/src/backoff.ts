export interface BackoffOptions {
  /** Upper bound of the first pause in milliseconds; doubles with each try. Default 500. */
  base?: number;
  /** Upper bound of every pause in milliseconds; of those after a connection that was welcomed, 4,000. Default 20,000. */
  cap?: number;
  /** A source of numbers in [0, 1), for tests. */
  random?: () => number;
}

/**
 * Pauses with full jitter: random(0, min(cap, base·2ⁿ)), and less where less is asked for; they grow on from there. A thousand clients cut off together come back
 * spread over the whole interval instead of in waves, which is what a server that has just returned needs.
 */
export class Backoff {
  readonly #base: number;
  readonly #cap: number;
  readonly #random: () => number;
  #bound: number;

  constructor(options: BackoffOptions = {}) {
    this.#base = options.base ?? 500;
    this.#cap = options.cap ?? 20_000;
    this.#random = options.random ?? Math.random;
    this.#bound = this.#base;
  }

  /** The next pause, below `most` in any case. */
  next(most = this.#cap): number {
    const bound = Math.min(this.#cap, this.#bound, most);
    this.#bound = bound * 2;
    return Math.floor(this.#random() * bound);
  }

  reset(): void {
    this.#bound = this.#base;
  }
}
