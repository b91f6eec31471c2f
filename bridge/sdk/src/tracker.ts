import { Backoff, type BackoffOptions } from "./backoff.ts";
import { Deferred } from "./deferred.ts";
import type { Line } from "./line.ts";
import type { Answer } from "./link.ts";
import { Refusal } from "./refusal.ts";
import type { Place, Request } from "./wire.ts";

export interface TrackOptions {
  /** What to be shown under, such as a seat; the session's ref unless given. */
  key?: string;
  /** Where we are. The server makes it as inexact as `accuracy` says before anyone sees it. */
  position?: Place;
}

/**
 * What this session says about itself in one channel. Only the newest meta matters: while one request is under
 * way later ones fold into one, and a new link is told the current one.
 */
export class Tracker {
  readonly #channel: string;
  readonly #line: Line;
  readonly #ready: () => boolean;
  readonly #backoff: Backoff;
  /** What the server shall know; undefined means nothing. */
  #meta: (TrackOptions & { value: unknown }) | undefined;
  /** Callers whose wish has not been sent, and those whose wish is on its way. */
  #waiting: Deferred<void>[] = [];
  #sent: Deferred<void>[] | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(channel: string, line: Line, ready: () => boolean, backoff: BackoffOptions) {
    this.#channel = channel;
    this.#line = line;
    this.#ready = ready;
    this.#backoff = new Backoff(backoff);
  }

  track(meta: unknown, options: TrackOptions = {}): Promise<void> {
    return this.#wish({ ...options, value: meta });
  }

  untrack(): Promise<void> {
    return this.#wish(undefined);
  }

  /** The channel is subscribed on a new link. */
  resume(): void {
    if (this.#meta || this.#waiting.length > 0) this.#push();
  }

  lost(): void {
    clearTimeout(this.#retry);
    this.#waiting = [...(this.#sent ?? []), ...this.#waiting];
    this.#sent = undefined;
  }

  /** Nothing more will be sent. */
  end(why: Refusal): void {
    this.lost();
    this.#meta = undefined;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(why);
  }

  #wish(meta: (TrackOptions & { value: unknown }) | undefined): Promise<void> {
    this.#meta = meta;
    const wish = new Deferred<void>();
    this.#waiting.push(wish);
    this.#push();
    return wish.promise;
  }

  #push(): void {
    if (this.#sent || !this.#ready()) return;
    clearTimeout(this.#retry);
    const channel = this.#channel;
    const { value: meta, ...options } = this.#meta ?? { value: undefined };
    const request: Request = this.#meta ? { op: "track", channel, meta, ...options } : { op: "untrack", channel };
    const sent = this.#line.request(JSON.stringify(request), (answer) => this.#answered(answer));
    if (sent) this.#sent = this.#waiting.splice(0);
  }

  #answered(answer: Answer): void {
    const sent = this.#sent ?? [];
    this.#sent = undefined;
    if (answer.op === "error" && answer.retry) {
      this.#waiting = [...sent, ...this.#waiting];
      this.#retry = setTimeout(() => this.#push(), this.#backoff.next());
      return;
    }
    this.#backoff.reset();
    for (const wish of sent) {
      if (answer.op === "ok") wish.resolve();
      else wish.reject(new Refusal(answer.code, answer.reason, answer.retry, answer.message));
    }
    if (answer.op === "error" && this.#waiting.length === 0) this.#meta = undefined;
    if (this.#waiting.length > 0) this.#push();
  }
}
