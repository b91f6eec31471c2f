import { Local, Refusal } from "./refusal.ts";

/**
 * A token, or where to ask for one. A function is asked again when the token ends or is refused, and after a pause
 * when it fails; a {@link Refusal} that is not to be repeated, thrown by it, ends the connection for good.
 */
export type Token = string | (() => string | Promise<string>);

/** The server refuses late tokens, so a new one is asked for this long before the end. */
const margin = 60_000;

/** A function that has not answered for this long will not. */
const patience = 10_000;

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
    if (this.#token && Date.now() < this.#renewAt) return Promise.resolve(this.#token);
    return this.renew();
  }

  renew(): Promise<string> {
    if (this.#asking) return this.#asking;
    const asking: Promise<string> = this.#ask(() => this.#asking === asking).finally(() => {
      if (this.#asking === asking) this.#asking = undefined;
    });
    return (this.#asking = asking);
  }

  /** Called when the server refused the token, and when the client closes: whoever opens it again may be another user. */
  forget(): void {
    this.#token = this.#asking = undefined;
  }

  /** Asks the source, and keeps the answer if it is still wanted. Whatever goes wrong there ends as a refusal that says it. */
  async #ask(wanted: () => boolean): Promise<string> {
    const token = await (typeof this.#source === "function" ? answer(this.#source) : this.#source);
    if (!wanted()) return token;
    const end = expiry(token);
    const left = end - Date.now();
    this.#token = token;
    this.#renewAt = end - Math.min(margin, left / 4);
    return token;
  }
}

async function answer(source: () => string | Promise<string>): Promise<string> {
  let alarm: ReturnType<typeof setTimeout> | undefined;
  try {
    const late = new Promise<never>((_, reject) => {
      alarm = setTimeout(() => reject(new Error(`no answer for ${patience / 1000} s`)), patience);
    });
    const token: unknown = await Promise.race([source(), late]);
    if (token && typeof token === "string") return token;
    throw new Error(`the function gave ${JSON.stringify(token)}`);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(Local.token, "token", true, `no token: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    clearTimeout(alarm);
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
