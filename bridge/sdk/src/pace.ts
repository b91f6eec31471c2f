/** Keeps to so many sends a second with a burst of as many, so that a long queue is not answered with refusals. */
export class Pace {
  #rate = Infinity;
  #left = Infinity;
  #at = 0;

  /** A new link with its own limit, of which nothing has been used. */
  restart(rate: number): void {
    this.#rate = rate;
    this.#left = rate;
    this.#at = Date.now();
  }

  /** The server says that all is used: others use the same allowance. */
  exhaust(): void {
    this.#left = Math.min(this.#left, 0);
    this.#at = Date.now();
  }

  /** Takes one send; or says for how many milliseconds to wait. */
  take(): number {
    if (this.#rate === Infinity) return 0;
    const now = Date.now();
    this.#left = Math.min(this.#rate, this.#left + ((now - this.#at) / 1000) * this.#rate);
    this.#at = now;
    if (this.#left < 1) return Math.ceil(((1 - this.#left) / this.#rate) * 1000);
    this.#left--;
    return 0;
  }
}
