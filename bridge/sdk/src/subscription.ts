import { Backoff, type BackoffOptions } from "./backoff.ts";
import { Deferred } from "./deferred.ts";
import type { Line } from "./line.ts";
import type { Answer } from "./link.ts";
import { Listeners } from "./listeners.ts";
import { Local, Refusal } from "./refusal.ts";
import type { EventFrame, GapFrame, OkFrame, Position, Request } from "./wire.ts";

export interface SubscribeOptions {
  /** Go on from here: everything after it is replayed. */
  since?: Position;
  /** Without `since`: recent history, a number of events or a time such as "1h". */
  last?: number | string;
  /** Ask for presence: who is here, and who comes and goes. */
  presence?: boolean;
}

/** - `subscribing` is also the state after a drop, until the channel is whole again. */
export type SubscriptionState = "unsubscribed" | "subscribing" | "subscribed";

export interface SubscriptionChange {
  state: SubscriptionState;
  /** Why: a server's code, one of {@link Local}, or 0. */
  code: number;
  reason: string;
}

/**
 * What this client has seen of one channel, and so what it still has to see. It subscribes again on every
 * new link from its own position and lets nothing pass twice.
 */
export class Subscription {
  readonly changes = new Listeners<SubscriptionChange>();
  readonly gaps = new Listeners<GapFrame>();
  /** The part that was missed has been replayed: what is not here now was never stored. */
  readonly whole = new Listeners<void>();
  readonly #channel: string;
  readonly #line: Line;
  readonly #backoff: Backoff;
  #state: SubscriptionState = "unsubscribed";
  #options: SubscribeOptions = {};
  #outcome = new Deferred<Position | undefined>();
  #position: Position | undefined;
  #epoch = "";
  #durable: boolean | undefined;
  #missing: { until: number; count: number } | undefined;
  #leaving: Deferred<void> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(channel: string, line: Line, backoff: BackoffOptions) {
    this.#channel = channel;
    this.#line = line;
    this.#backoff = new Backoff(backoff);
  }

  get state(): SubscriptionState {
    return this.#state;
  }

  /** The last event seen, on a durable channel. */
  get position(): Position | undefined {
    return this.#position;
  }

  /** Whether the channel's events are stored; undefined until the server has said so. */
  get durable(): boolean | undefined {
    return this.#durable;
  }

  /** Whether a replay is under way or about to be. */
  get catchingUp(): boolean {
    return this.#state === "subscribing" || this.#missing !== undefined;
  }

  /** Resolves when the server has accepted; a drop meanwhile only delays it. Asked again it answers the same. */
  subscribe(options: SubscribeOptions): Promise<Position | undefined> {
    if (this.#state !== "unsubscribed") return this.#outcome.promise;
    this.#options = options;
    this.#position = options.since;
    this.#outcome = new Deferred();
    this.#become("subscribing", 0, "subscribe");
    this.#send();
    return this.#outcome.promise;
  }

  /** Resolves when the server knows, or when there is no connection that it would have to know of. */
  unsubscribe(): Promise<void> {
    if (this.#state === "unsubscribed") return this.#leaving?.promise ?? Promise.resolve();
    this.end(new Refusal(Local.unsubscribed, "unsubscribed"));
    const leaving = new Deferred<void>();
    const told = this.#request({ op: "unsubscribe", channel: this.#channel }, () => this.#left());
    this.#leaving = told ? leaving : undefined;
    if (!told) leaving.resolve();
    return leaving.promise;
  }

  /** A new link: subscribe on it. */
  resume(): void {
    if (this.#state === "subscribing") this.#send();
  }

  /** The server is well again: what waits for another try need not wait longer. */
  hurry(): void {
    if (this.#retry === undefined) return;
    this.#cancelRetry();
    this.resume();
  }

  /** The link broke. */
  lost(): void {
    this.#cancelRetry();
    this.#left();
    if (this.#state === "subscribed") this.#become("subscribing", 0, "lost");
  }

  /** The server ended the subscription; for a passing reason it is asked for again. */
  ended(code: number, reason: string): void {
    if (this.#state === "unsubscribed") return;
    const refusal = new Refusal(code, reason);
    if (refusal.retry) this.#again(refusal);
    else this.end(refusal);
  }

  /** Nothing more comes. */
  end(why: Refusal): void {
    if (this.#state === "unsubscribed") return;
    this.#cancelRetry();
    this.#missing = undefined;
    this.#become("unsubscribed", why.code, why.reason);
    this.#outcome.reject(why);
    this.whole.tell();
  }

  /** Judges an event: whether it is new, and whether it is part of a replay. Moves the position. */
  take(event: EventFrame): { fresh: boolean; replayed: boolean } {
    if (this.#state !== "subscribed") return { fresh: false, replayed: false };
    if (event.seq === undefined) return { fresh: true, replayed: false };
    if (event.seq <= this.#seen) return { fresh: false, replayed: false };
    this.#position = { epoch: this.#epoch, seq: event.seq, ...(event.at !== undefined && { at: event.at }) };
    const replayed = this.#missing !== undefined && event.seq <= this.#missing.until;
    return { fresh: true, replayed };
  }

  /** Called when the event that was taken has been delivered, so that a replay is over only when all of it is. */
  delivered(event: EventFrame): void {
    if (!this.#missing || event.seq === undefined) return;
    this.#missing.count--;
    if (event.seq >= this.#missing.until || this.#missing.count <= 0) this.#completed();
  }

  gap(frame: GapFrame): void {
    if (this.#state === "unsubscribed") return;
    this.#epoch = frame.position.epoch;
    this.#position = frame.position;
    this.gaps.tell(frame);
    if (this.#missing && frame.position.seq >= this.#missing.until) this.#completed();
  }

  #send(): void {
    if (this.#leaving) return;
    const request: Request = { op: "subscribe", channel: this.#channel };
    if (this.#position) request.since = this.#position;
    else if (this.#options.last !== undefined) request.last = this.#options.last;
    if (this.#options.presence) request.presence = true;
    this.#request(request, (answer) => {
      if (answer.op === "ok") this.#accepted(answer);
      else this.ended(answer.code, answer.reason);
    });
  }

  #request(request: Request, answered: (answer: Answer) => void): boolean {
    return this.#line.request(JSON.stringify(request), answered);
  }

  #accepted(ok: OkFrame): void {
    if (this.#state !== "subscribing") return;
    this.#backoff.reset();
    this.#durable = ok.position !== undefined;
    if (ok.position) this.#expect(ok.position, ok.replaying);
    this.#become("subscribed", 0, "subscribed");
    this.#outcome.resolve(ok.position);
    if (!this.#missing) this.whole.tell();
  }

  /**
   * Without a replay the position is the server's. With one it stays what it was, old epoch included, until the
   * events move it: were the link to break before the first, the same question would have to be asked again.
   */
  #expect(until: Position, count: number | undefined): void {
    this.#epoch = until.epoch;
    const seen = this.#seen;
    this.#missing = count && seen < until.seq ? { until: until.seq, count } : undefined;
    if (count === undefined || (count === 0 && seen === 0)) this.#position = until;
  }

  /** The last number seen in the server's epoch: those of another epoch say nothing about this one. */
  get #seen(): number {
    return this.#position?.epoch === this.#epoch ? this.#position.seq : 0;
  }

  #completed(): void {
    this.#missing = undefined;
    this.whole.tell();
  }

  #again(why: Refusal): void {
    this.#missing = undefined;
    this.#become("subscribing", why.code, why.reason);
    this.#cancelRetry();
    this.#retry = setTimeout(() => this.hurry(), this.#backoff.next());
  }

  #cancelRetry(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  #left(): void {
    const leaving = this.#leaving;
    this.#leaving = undefined;
    leaving?.resolve();
    if (leaving) this.resume();
  }

  #become(state: SubscriptionState, code: number, reason: string): void {
    this.#state = state;
    this.changes.tell({ state, code, reason });
  }
}
