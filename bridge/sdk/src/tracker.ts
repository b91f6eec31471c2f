import { Backoff, type BackoffOptions } from "./backoff.ts";
import { bodyOf } from "./body.ts";
import { Deferred, ended } from "./deferred.ts";
import type { Line } from "./line.ts";
import type { Answer } from "./link.ts";
import { Refusal } from "./refusal.ts";
import type { Place } from "./wire.ts";

export interface TrackOptions {
  /** What to be shown under, such as a seat; the session's ref unless given. */
  key?: string;
  /** Where we are. The server makes it as inexact as `accuracy` says before anyone sees it. */
  position?: Place;
}

/** What somebody wants to be known. */
interface Claim {
  owner: object;
  /** The request that says it. */
  body: string;
}

interface Wish {
  owner: object;
  done: Deferred<void>;
}

/** A request that has no answer yet, and the wishes that it settles. */
interface Sent {
  claim: Claim | undefined;
  wishes: Wish[];
}

/**
 * What this session says about itself in one channel. A session has one place there, so of all who track the newest
 * wins, and when it stops the one before it is seen again. Only the newest meta matters: while one request is under
 * way later ones fold into one, and a new link is told the current one.
 */
export class Tracker {
  readonly #channel: string;
  readonly #line: Line;
  readonly #ready: () => boolean;
  readonly #backoff: Backoff;
  /** What the server shall know is the last of these. */
  readonly #claims = new Map<object, Claim>();
  /** What the server knows; undefined means nothing. */
  #told: Claim | undefined;
  /** Wishes that have not been sent, and those that are on their way. */
  #waiting: Wish[] = [];
  #sent: Sent | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(channel: string, line: Line, ready: () => boolean, backoff: BackoffOptions) {
    this.#channel = channel;
    this.#line = line;
    this.#ready = ready;
    this.#backoff = new Backoff(backoff);
  }

  track(owner: object, meta: unknown, options: TrackOptions = {}): Promise<void> {
    const body = bodyOf({ op: "track", channel: this.#channel, meta, ...options });
    if (body instanceof Refusal) return this.#line.over ? ended(this.#line.over) : Promise.reject(body);
    return this.#wish(owner, { owner, body });
  }

  untrack(owner: object): Promise<void> {
    return this.#wish(owner, undefined);
  }

  /** The channel is subscribed, or will not be: what could not be said before can be said now. */
  resume(): void {
    if (this.#claims.size > 0 || this.#waiting.length > 0 || this.#told) this.#push();
  }

  lost(): void {
    clearTimeout(this.#retry);
    this.#waiting = [...(this.#sent?.wishes ?? []), ...this.#waiting];
    this.#sent = this.#told = undefined;
  }

  /** The server forgot what it knew. */
  restart(): void {
    this.lost();
    this.resume();
  }

  /** One who tracks is gone; so may be, with the subscription, all that the server knew. */
  release(owner: object, why: Refusal, forgotten: boolean): void {
    const claimed = this.#claims.delete(owner);
    for (const wish of [...this.#waiting, ...(this.#sent?.wishes ?? [])]) if (wish.owner === owner) wish.done.end(why);
    this.#waiting = this.#waiting.filter((wish) => wish.owner !== owner);
    if (claimed && !forgotten) this.#push();
  }

  /** Nothing more will be sent. */
  end(why: Refusal): void {
    this.lost();
    this.#claims.clear();
    for (const { done } of this.#waiting.splice(0)) done.end(why);
  }

  #wish(owner: object, claim: Claim | undefined): Promise<void> {
    if (this.#line.over) return ended(this.#line.over);
    this.#claims.delete(owner);
    if (claim) this.#claims.set(owner, claim);
    const done = new Deferred<void>();
    this.#waiting.push({ owner, done });
    this.#push();
    return done.promise;
  }

  get #newest(): Claim | undefined {
    return [...this.#claims.values()].at(-1);
  }

  #push(): void {
    if (this.#sent || !this.#ready()) return;
    clearTimeout(this.#retry);
    const claim = this.#newest;
    const body = claim?.body ?? JSON.stringify({ op: "untrack", channel: this.#channel });
    const sent = { claim, wishes: this.#waiting };
    const told = this.#line.request(body, (answer) => {
      if (this.#sent === sent) this.#answered(sent, answer);
    });
    if (!told) return;
    this.#sent = sent;
    this.#waiting = [];
  }

  #answered({ claim, wishes }: Sent, answer: Answer): void {
    this.#sent = undefined;
    if (answer.op === "error" && answer.retry) {
      this.#waiting = [...wishes, ...this.#waiting];
      this.#retry = setTimeout(() => this.#push(), this.#backoff.next());
      return;
    }
    this.#backoff.reset();
    if (answer.op === "ok") this.#told = claim;
    else if (claim) this.#takeBack(claim);
    for (const { done } of wishes) {
      if (answer.op === "ok") done.resolve();
      else done.reject(new Refusal(answer.code, answer.reason, answer.retry, answer.message));
    }
    if (this.#waiting.length > 0 || (answer.op === "ok" && this.#newest !== this.#told)) this.#push();
  }

  /** What was refused is not said again; what was known before still is. */
  #takeBack(claim: Claim): void {
    const { owner } = claim;
    if (this.#claims.get(owner) !== claim) return;
    if (this.#told?.owner === owner) this.#claims.set(owner, this.#told);
    else this.#claims.delete(owner);
  }
}
