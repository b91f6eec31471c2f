import { Backoff, type BackoffOptions } from "./backoff.ts";
import { bodyOf } from "./body.ts";
import { Deferred, ended } from "./deferred.ts";
import type { Line } from "./line.ts";
import { Listeners } from "./listeners.ts";
import { Local, Refusal } from "./refusal.ts";
import { Seat, type SubscribeOptions, type SubscriptionState } from "./seat.ts";
import type { ErrorFrame, EventFrame, GapFrame, OkFrame, Position, Request } from "./wire.ts";

/** What is asked of the server, and for whom: these are answered by it. */
interface Question {
  readonly seats: Set<Seat>;
  /** Whether it is asked only because presence is wanted, for all who want it. */
  readonly added: boolean;
  readonly from: { since?: Position; last?: number | string; anew?: true };
  readonly presence: boolean;
}

/**
 * The one subscription to a channel that all its seats share. It asks on every new link, from where the seat that is
 * furthest behind stands, and again when a seat wants what the others did not: presence, which the server adds where
 * it stands, or history, which it gives anew from there or before. Each seat takes what is new to it.
 */
export class Subscription {
  readonly changes = new Listeners<SubscriptionState>();
  /** The part that was missed has been replayed: what is not here now was never stored. */
  readonly whole = new Listeners<void>();
  /** The server has left the channel, and forgotten what was said there. */
  readonly gone = new Listeners<void>();
  readonly #channel: string;
  readonly #line: Line;
  readonly #backoff: Backoff;
  readonly #seats = new Set<Seat>();
  #state: SubscriptionState = "unsubscribed";
  /** Whether the server tells us of presence. */
  #presence = false;
  /** The question that is under way. */
  #asking: Question | undefined;
  #epoch = "";
  /** The newest event of all, for those without a seat of their own. */
  #newest: Position | undefined;
  /** Counts up wherever events may have been left out behind the newest. */
  #run = 0;
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

  /** The newest event seen, on a durable channel. */
  get position(): Position | undefined {
    return this.#newest;
  }

  /** Whether the channel's events are stored; undefined until the server has said so. */
  get durable(): boolean | undefined {
    return this.#durable;
  }

  /** Whether a replay is under way or about to be. */
  get catchingUp(): boolean {
    return this.#state === "subscribing" || this.#missing !== undefined;
  }

  /** Whether the server is asked to let us in or out, so that what else is said may not hold. */
  get turning(): boolean {
    return this.#state === "subscribing" || this.#leaving !== undefined;
  }

  /** Whether nobody but this seat wants to be subscribed. */
  isAlone(seat: Seat): boolean {
    return this.#seats.has(seat) && this.#seats.size === 1;
  }

  /**
   * Resolves when the server has accepted; a drop meanwhile only delays it. Asked again it answers the same, unless
   * presence is wanted now and was not before.
   */
  subscribe(seat: Seat, options: SubscribeOptions): Promise<Position | undefined> {
    if (this.#line.over) return ended(this.#line.over);
    if (seat.wanting) return this.#wantsMore(seat, options);
    const body = bodyOf({ op: "subscribe", channel: this.#channel, ...options });
    if (body instanceof Refusal) return Promise.reject(body);
    seat.options = options;
    seat.position = options.since;
    seat.covered = seat.left = false;
    seat.outcome = new Deferred();
    this.#seats.add(seat);
    seat.become("subscribing", 0, "subscribe");
    if (this.#state === "unsubscribed") this.#become("subscribing");
    this.#next();
    return seat.outcome.promise;
  }

  #wantsMore(seat: Seat, options: SubscribeOptions): Promise<Position | undefined> {
    if (!options.presence || seat.options.presence) return seat.outcome.promise;
    seat.options = { ...seat.options, presence: true };
    if (seat.state === "subscribed") seat.outcome = new Deferred();
    this.#next();
    return seat.outcome.promise;
  }

  /** Resolves when the server knows, or when it does not have to: there is no connection, or another seat stays. */
  unsubscribe(seat: Seat): Promise<void> {
    seat.left = true;
    seat.overheard = undefined;
    if (!seat.wanting) return this.#leaving?.promise ?? Promise.resolve();
    const left = this.isAlone(seat) ? this.#leave() : Promise.resolve();
    this.#release(seat, new Refusal(Local.unsubscribed, "unsubscribed"));
    return left;
  }

  /** While the server has not answered it is asked for nothing else, so one word is enough for all who leave meanwhile. */
  #leave(): Promise<void> {
    if (this.#leaving) return this.#leaving.promise;
    const leaving = new Deferred<void>();
    const told = this.#line.request(JSON.stringify({ op: "unsubscribe", channel: this.#channel }), () => this.#left());
    if (told) this.#leaving = leaving;
    else leaving.resolve();
    return leaving.promise;
  }

  /** A new link: subscribe on it. */
  resume(): void {
    this.#next();
  }

  /** The server is well again: what waits for another try need not wait longer. */
  hurry(): void {
    if (this.#retry === undefined) return;
    this.#cancelRetry();
    this.#next();
  }

  /** The link broke. */
  lost(): void {
    this.#cancelRetry();
    this.#asking = undefined;
    this.#left();
    if (this.#state === "subscribed") this.#suspend(0, "lost");
  }

  /** The server ended the subscription; for a passing reason it is asked for again. */
  ended(code: number, reason: string): void {
    if (this.#state === "unsubscribed") return;
    const why = new Refusal(code, reason);
    if (!why.retry) return this.end(why);
    this.#suspend(code, reason);
    this.#again();
  }

  /** Nothing more comes. */
  end(why: Refusal): void {
    for (const seat of [...this.#seats]) this.#release(seat, why);
  }

  /** Judges an event for everybody: whether it is new, and whether it is part of a replay. */
  take(event: EventFrame): { fresh: boolean; replayed: boolean } {
    if (this.#state !== "subscribed") return { fresh: false, replayed: false };
    if (event.seq === undefined) return { fresh: true, replayed: false };
    const replayed = this.#missing !== undefined && event.seq <= this.#missing.until;
    const fresh = this.#newest?.epoch !== this.#epoch || event.seq > this.#newest.seq;
    if (fresh) this.#newest = this.#placeOf(event.seq, event.at);
    return { fresh, replayed };
  }

  /** Whether an event is for a seat and new to it. Moves its position. */
  takeFor(seat: Seat, event: EventFrame, fresh: boolean): boolean {
    if (!seat.wanting) {
      const heard = fresh && !seat.left;
      if (heard && event.seq !== undefined) seat.overhear(this.#run, this.#epoch, event.seq);
      return heard;
    }
    if (seat.state !== "subscribed" || this.#state !== "subscribed") return false;
    if (event.seq === undefined) return true;
    if (!seat.covered || event.seq <= seat.seen(this.#epoch)) return false;
    seat.position = this.#placeOf(event.seq, event.at);
    return true;
  }

  /** A position behind an event, with the time that proves it to be of the same past. */
  #placeOf(seq: number, at: string | undefined): Position {
    return { epoch: this.#epoch, seq, ...(at !== undefined && { at }) };
  }

  /** Called when the event that was taken has been delivered, so that a replay is over only when all of it is. */
  delivered(event: EventFrame): void {
    if (!this.#missing || event.seq === undefined) return;
    this.#missing.count--;
    if (event.seq >= this.#missing.until || this.#missing.count <= 0) this.#completed();
  }

  /** Tells those for whom something is gone, or was taken back. */
  gap(frame: GapFrame): void {
    if (this.#state === "unsubscribed") return;
    const { position, from } = frame;
    this.#epoch = position.epoch;
    const touches = (at: Position | undefined): boolean => {
      if (at?.epoch !== position.epoch) return true;
      return position.seq < from ? at.seq > position.seq : at.seq < position.seq;
    };
    if (touches(this.#newest)) this.#newest = position;
    this.#run++;
    for (const seat of [...this.#seats]) {
      if (position.seq < from) seat.overheard = undefined; // the numbers may be given to others
      if (!seat.covered || (this.#seats.size > 1 && !touches(seat.position))) continue;
      seat.position = position;
      seat.gaps.tell(frame);
    }
    if (this.#missing && position.seq >= this.#missing.until) this.#completed();
  }

  /** Asks what has to be asked next, one question at a time. */
  #next(): void {
    if (this.#leaving || this.#asking || this.#missing || this.#retry !== undefined) return;
    if (this.#state === "subscribed") this.#join();
    const question = this.#question();
    if (!question) return;
    const request: Request = { op: "subscribe", channel: this.#channel, ...question.from };
    if (question.presence) request.presence = true;
    const sent = this.#line.request(JSON.stringify(request), (answer) => {
      if (this.#asking !== question) return;
      this.#asking = undefined;
      if (answer.op === "ok") this.#accepted(question, answer);
      else this.#refused(question, answer);
      this.#next();
    });
    if (sent) this.#asking = question;
  }

  /** Who wants nothing from before now need not ask while others are subscribed. */
  #join(): void {
    for (const seat of this.#seats) {
      if (seat.covered || seat.position || (seat.options.last !== undefined && this.#durable)) continue;
      seat.covered = true;
      seat.position = this.#newest;
    }
    this.#settle(this.#newest);
  }

  #question(): Question | undefined {
    const seats = [...this.#seats];
    const open = seats.filter((seat) => !seat.covered);
    const presence = this.#presence || seats.some(({ options }) => options.presence);
    if (open.length === 0 && presence === this.#presence) return undefined;
    const anew = this.#state === "subscribed" ? { anew: true as const } : {};
    const since = furthestBehind(open);
    const added = open.length === 0;
    const of = (asking: Seat[], from: Question["from"]): Question => ({ seats: new Set(asking), added, from, presence });
    if (since) return of(open.filter(({ position }) => position?.epoch === since.epoch), { since, ...anew });
    const last = open.find(({ options }) => options.last !== undefined)?.options.last;
    if (last !== undefined) return of(open.filter(({ options }) => options.last === last), { last, ...anew });
    return of(open, {});
  }

  #accepted({ seats, from, presence }: Question, { position, replaying }: OkFrame): void {
    this.#backoff.reset();
    this.#durable = position !== undefined;
    this.#presence = presence;
    if (position) {
      if (this.#state !== "subscribed" && !goesOn(from, position, this.#newest)) this.#run++;
      this.#epoch = position.epoch;
      this.#missing = replaying ? { until: position.seq, count: replaying } : undefined;
      const known = this.#newest?.epoch === position.epoch && this.#newest.seq >= position.seq;
      if (!replaying && !known) this.#newest = position;
    }
    for (const seat of this.#seats) {
      seat.covered ||= seats.has(seat) || covers(from, position, seat);
      // What asked for history stays without a position until some has come: were the link to break before, the
      // same question would have to be asked again.
      if (seat.covered && !seat.position && (seat.options.last === undefined || !replaying)) seat.position = position;
    }
    if (this.#state !== "subscribed") this.#become("subscribed");
    this.#settle(position);
    if (!this.#missing) this.whole.tell();
  }

  /** Tells those whose wish has been granted. */
  #settle(position: Position | undefined): void {
    for (const seat of [...this.#seats]) {
      if (seat.options.presence && !this.#presence) continue;
      if (seat.covered && seat.state === "subscribing") seat.become("subscribed", 0, "subscribed");
      if (seat.state === "subscribed") seat.outcome.resolve(position);
    }
  }

  #refused({ seats, added }: Question, { code, reason, retry, message }: ErrorFrame): void {
    const why = new Refusal(code, reason, retry, message);
    const whose = added ? [...this.#seats].filter(({ options }) => options.presence) : [...seats];
    if (why.retry) {
      for (const seat of whose) if (seat.state === "subscribing") seat.become("subscribing", code, reason);
      return this.#again();
    }
    for (const seat of whose) {
      seat.outcome.reject(why);
      if (seat.state === "subscribed") seat.options = { ...seat.options, presence: false };
      else if (this.#seats.has(seat)) this.#release(seat, why);
    }
  }

  /** The server tells nothing any more, but shall. */
  #suspend(code: number, reason: string): void {
    this.#asking = this.#missing = undefined;
    this.#presence = false;
    this.#become("subscribing");
    for (const seat of [...this.#seats]) {
      if (!this.#seats.has(seat)) continue; // who hears of it first may have had it leave
      seat.covered = false;
      seat.become("subscribing", code, reason);
    }
  }

  #release(seat: Seat, why: Refusal): void {
    if (!this.#seats.delete(seat)) return;
    this.#asking?.seats.delete(seat); // should it come back, it asks for something else
    const { outcome } = seat; // who hears of its end may subscribe again
    seat.covered = false;
    seat.left = true;
    seat.overheard = undefined;
    if (this.#seats.size === 0) {
      this.#cancelRetry();
      this.#asking = this.#missing = undefined;
      this.#presence = false;
      this.#become("unsubscribed");
    }
    seat.become("unsubscribed", why.code, why.reason);
    outcome.end(why);
    if (this.#state === "unsubscribed") this.whole.tell();
  }

  #completed(): void {
    this.#missing = undefined;
    this.whole.tell();
    this.#next();
  }

  #again(): void {
    this.#cancelRetry();
    this.#retry = setTimeout(() => this.hurry(), this.#backoff.next());
  }

  #cancelRetry(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  #left(): void {
    const leaving = this.#leaving;
    if (!leaving) return;
    this.#leaving = undefined;
    leaving.resolve();
    this.gone.tell();
    this.#next();
  }

  #become(state: SubscriptionState): void {
    this.#state = state;
    this.changes.tell(state);
  }
}

/** Whether nothing is left out between the newest event that was told and those that follow the answer. */
function goesOn({ since }: Question["from"], position: Position, newest: Position | undefined): boolean {
  if (!since || newest?.epoch !== position.epoch) return false;
  return since.epoch === position.epoch && since.seq <= newest.seq;
}

/** The oldest position of those that can be compared with the first. */
function furthestBehind(seats: readonly Seat[]): Position | undefined {
  const positions = seats.flatMap(({ position }) => position ?? []);
  const same = positions.filter(({ epoch }) => epoch === positions[0]?.epoch);
  return same.sort((one, other) => one.seq - other.seq)[0];
}

/** Whether what the server gives on a new link holds all that a seat has not seen, up to where the channel stands. */
function covers({ since }: Question["from"], until: Position | undefined, { position, options }: Seat): boolean {
  if (!until) return true;
  if (!position) return options.last === undefined;
  if (since?.epoch === position.epoch) return since.seq <= position.seq;
  if (position.epoch !== until.epoch) return false;
  // A position of another epoch is answered with all there is.
  return position.seq >= until.seq || (since !== undefined && since.epoch !== until.epoch);
}
