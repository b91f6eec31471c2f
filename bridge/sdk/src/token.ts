/** A token, or where to ask for one. A function is asked again when the token ends or is refused. */
export type Token = string | (() => Promise<string>);

/** The server refuses late tokens, so a new one is asked for this long before the end. */
const margin = 60_000;

/** However short-lived a token is, or however wrong the device's clock, ask no more often than this. */
const leastRenewal = 30_000;

/** Keeps the current token and knows when it ought to be replaced. */
export class TokenSource {
  readonly #source: Token;
  #token: string | undefined;
  #renewAt = 0;
  #asking: Promise<string> | undefined;

  constructor(source: Token) {
    this.#source = source;
  }

  /** Whether a new token can be had at all. */
  get renewable(): boolean {
    return typeof this.#source === "function";
  }

  /** Milliseconds until the token should be replaced in place; undefined when it never has to be or can be. */
  get renewIn(): number | undefined {
    if (!this.renewable || this.#renewAt === Infinity) return undefined;
    return Math.max(leastRenewal, this.#renewAt - Date.now());
  }

  /** The current token, or a new one when there is none or it is about to end. Callers at the same time share one question. */
  current(): Promise<string> {
    if (this.#token !== undefined && Date.now() < this.#renewAt) return Promise.resolve(this.#token);
    return this.renew();
  }

  renew(): Promise<string> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** Called when the server refused the token. */
  forget(): void {
    this.#token = undefined;
  }

  async #ask(): Promise<string> {
    const token = typeof this.#source === "function" ? await this.#source() : this.#source;
    const end = expiry(token);
    const left = end - Date.now();
    this.#token = token;
    this.#renewAt = end - Math.min(margin, left / 4);
    return token;
  }
}

/** When the token ends by its own claim, in milliseconds; Infinity when it does not say. The server is the judge, this is only a plan. */
function expiry(token: string): number {
  try {
    const payload = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
    const claims: unknown = JSON.parse(atob(payload));
    if (typeof claims === "object" && claims !== null && "exp" in claims && typeof claims.exp === "number") {
      return claims.exp * 1000;
    }
  } catch {
    // Not a JWT that can be read here: the server may still know it.
  }
  return Infinity;
}
