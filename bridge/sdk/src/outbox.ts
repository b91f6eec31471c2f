import { Backoff, type BackoffOptions } from "./backoff.ts";
import { bodyOf } from "./body.ts";
import { Deferred, ended } from "./deferred.ts";
import type { Line } from "./line.ts";
import { Pace } from "./pace.ts";
import { Local, Refusal } from "./refusal.ts";
import { codes, type CallRequest, type ErrorFrame, type EventFrame, type Limits, type OkFrame, type PublishRequest } from "./wire.ts";

export interface OutboxOptions {
  /** How many unacknowledged requests are kept. Default 1,000. */
  queue?: number;
  /** How many bytes they may have together, as they are sent. Default 8 MiB. */
  queueBytes?: number;
  /**
   * How long, in milliseconds, a server that is there may answer "later" before the caller is told. Default 30,000.
   * That the limit by the second is used up is no such answer: it passes by itself.
   */
  patience?: number;
  backoff?: BackoffOptions;
}

/** What the outbox needs to know about the connection and the channels. */
export interface Carrier extends Line {
  /** Whether sending makes sense now. */
  isOpen(): boolean;
  /** Whether the channel is still being brought up to date, so that a missing key proves nothing. */
  catchingUp(channel: string): boolean;
  /** Whether the channel stores what is published; undefined when nobody knows. */
  durable(channel: string): boolean | undefined;
}

/** What became of a publish or call. */
export type Receipt = Pick<OkFrame, "seq" | "data">;

interface Item {
  readonly channel: string;
  readonly key: string;
  /** Made once: a key means one body. */
  readonly body: string;
  readonly size: number;
  readonly volatile: boolean;
  readonly receipt: Deferred<Receipt>;
  readonly backoff: Backoff;
  /** waiting: certainly not stored · sent: on this link · doubtful: was sent, and nobody has said what became of it */
  state: "waiting" | "sent" | "doubtful";
  /** The sequence under which its own event was seen. */
  seen?: number;
  /** Not before this time, after a "later". */
  notBefore: number;
  giveUpAt: number;
}

/** What waits on one channel, by key, in the order in which it was made. */
type Lane = Map<string, Item>;

/** Refusals after which it is certain that nothing was done, and those after which it may well have been. */
const untouched: readonly number[] = [codes.rate_limited, codes.busy, codes.draining];
const unanswered: readonly number[] = [codes.timeout, codes.internal];

/**
 * Publishes and calls from the moment they are made until their outcome is known: on each channel first in, first
 * out. The next is sent when the one before it has its outcome, because a server may refuse any of several that are
 * under way for now and store those behind it; channels do not wait for each other.
 *
 * After a drop the one that is doubtful is looked for in the replay of its channel; only when it is not there is it
 * sent again, under the same key. So nothing is stored twice however long the drop lasted.
 *
 * When it is full, in number or in bytes, what is new is refused at once; nothing that was taken in is given up.
 */
export class Outbox {
  readonly #carrier: Carrier;
  readonly #options: OutboxOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #pace = new Pace();
  /** Pauses until a limit by the second, used up by others of the same user, has something left. They do not grow. */
  readonly #allowance: Backoff;
  #size = 0;
  #bytes = 0;
  #frameLimit = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(carrier: Carrier, options: OutboxOptions) {
    this.#carrier = carrier;
    this.#options = options;
    this.#allowance = new Backoff({ ...options.backoff, base: 1_000, cap: 1_000 });
  }

  /** How many requests have no outcome yet. */
  get size(): number {
    return this.#size;
  }

  /**
   * Takes a request in. Rejects at once when the queue is full, when nothing will ever be sent, or when it is
   * volatile and cannot be sent now. The same request again, under the same key, is the same request.
   */
  add(request: PublishRequest | CallRequest, volatile = false): Promise<Receipt> {
    const { over } = this.#carrier;
    if (over) return ended(over);
    const { channel, key } = request;
    const body = bodyOf(request);
    if (body instanceof Refusal) return Promise.reject(body);
    const lane = this.#lanes.get(channel) ?? new Map<string, Item>();
    const twin = lane.get(key);
    if (twin) return twin.body === body ? twin.receipt.promise : Promise.reject(new Refusal(codes.key_reused, "key_reused"));
    const item = this.#item(channel, key, body, volatile);
    const refusal = this.#hasNoRoom(item) ?? (volatile ? this.#isLate(lane) : undefined);
    if (refusal) return Promise.reject(refusal);
    this.#lanes.set(channel, lane.set(key, item));
    this.#size++;
    this.#bytes += item.size;
    this.flush();
    return item.receipt.promise;
  }

  #item(channel: string, key: string, body: string, volatile: boolean): Item {
    return {
      channel,
      key,
      body,
      size: new TextEncoder().encode(body).length,
      volatile,
      receipt: new Deferred<Receipt>(),
      backoff: new Backoff(this.#options.backoff),
      state: "waiting",
      notBefore: 0,
      giveUpAt: Infinity,
    };
  }

  #hasNoRoom({ size }: Item): Refusal | undefined {
    const { queue = 1_000, queueBytes = 8 << 20 } = this.#options;
    return this.#size < queue && this.#bytes + size <= queueBytes ? undefined : new Refusal(Local.full, "full", true);
  }

  /** A volatile message may wait for the answer to the one before it, but not for anything that takes longer. */
  #isLate(lane: Lane): Refusal | undefined {
    const stuck = [...lane.values()].some((item) => !item.volatile && item.state !== "sent");
    return stuck || !this.#carrier.isOpen() ? new Refusal(Local.offline, "offline", true) : undefined;
  }

  /** A new link. */
  restart(limits: Limits): void {
    this.#pace.restart(limits.publishes);
    this.#frameLimit = limits.frame;
  }

  /** The link broke: what was sent and not answered is doubtful now. */
  lost(): void {
    clearTimeout(this.#timer);
    for (const item of this.#all()) {
      item.giveUpAt = Infinity;
      item.backoff.reset();
      if (item.seen !== undefined) this.#settle(item, { seq: item.seen });
      else if (item.state !== "waiting") this.#doubt(item);
      else if (item.volatile) this.#refuse(item, new Refusal(Local.offline, "offline", true));
    }
  }

  /** An event of ours went by; the acknowledgement may never come, and a replay will not show the event again. */
  observe(event: EventFrame): void {
    const { channel, key, seq } = event;
    if (seq === undefined || key === undefined) return;
    const item = this.#lanes.get(channel)?.get(key);
    if (!item) return;
    item.seen = seq;
    if (item.state === "doubtful") this.#settle(item, { seq });
  }

  /** Sends what may be sent. Channels take turns. */
  flush(): void {
    clearTimeout(this.#timer);
    if (!this.#carrier.isOpen()) return this.#tooLate(this.#all());
    let soonest = Infinity;
    for (const [channel, lane] of [...this.#lanes]) {
      const pause = this.#advance(channel, lane);
      if (pause > 0) soonest = Math.min(soonest, pause);
    }
    if (soonest !== Infinity) this.#timer = setTimeout(() => this.flush(), soonest);
  }

  /** Ends everything that has no outcome. */
  end(why: Refusal): void {
    clearTimeout(this.#timer);
    const all = this.#all();
    this.#lanes.clear();
    this.#size = this.#bytes = 0;
    for (const item of all) item.receipt.end(why);
  }

  #all(): Item[] {
    return [...this.#lanes.values()].flatMap((lane) => [...lane.values()]);
  }

  /** Sends what is first on a channel, and volatile ones as long as nothing that is kept stands before them. Returns for how long to wait. */
  #advance(channel: string, lane: Lane): number {
    for (const item of lane.values()) {
      if (item.state !== "sent") {
        // Whether the channel stores anything may be known by now.
        if (item.state === "doubtful" && !this.#carrier.catchingUp(channel)) this.#doubt(item);
        if (!lane.has(item.key)) continue;
        const pause = this.#hindrance(item);
        if (pause > 0 && !item.volatile) return pause;
        if (pause > 0) this.#refuse(item, new Refusal(codes.rate_limited, "rate_limited"));
        else this.#send(item);
        if (this.#lanes.delete(channel)) this.#lanes.set(channel, lane);
      }
      if (lane.has(item.key) && !item.volatile) return 0;
    }
    return 0;
  }

  /** For how long an item has to wait: 0 not at all, Infinity until something else happens. */
  #hindrance(item: Item): number {
    if (item.state === "doubtful" && this.#carrier.catchingUp(item.channel)) return Infinity;
    const pause = item.notBefore - Date.now();
    return pause > 0 ? pause : this.#pace.take();
  }

  #send(item: Item): void {
    if (item.size + 24 > this.#frameLimit) return this.#refuse(item, new Refusal(codes.frame_too_large, "frame_too_large"));
    const { state } = item;
    item.state = "sent";
    const sent = this.#carrier.request(item.body, (answer) => {
      if (answer.op === "ok") this.#done(item, answer);
      else this.#refused(item, answer);
      this.flush();
    });
    if (!sent) item.state = state;
  }

  #done(item: Item, { seq, data }: OkFrame): void {
    const receipt: Receipt = {};
    if (seq !== undefined) receipt.seq = seq;
    if (data !== undefined) receipt.data = data;
    this.#settle(item, receipt);
  }

  #refused(item: Item, answer: ErrorFrame): void {
    if (item.seen !== undefined) return this.#settle(item, { seq: item.seen });
    const limited = answer.code === codes.rate_limited;
    if (limited) this.#pace.exhaust();
    else item.giveUpAt = Math.min(item.giveUpAt, Date.now() + (this.#options.patience ?? 30_000));
    const twice = unanswered.includes(answer.code) && this.#carrier.durable(item.channel) === false;
    if (!answer.retry || item.volatile || twice || Date.now() >= item.giveUpAt) {
      return this.#refuse(item, new Refusal(answer.code, answer.reason, answer.retry, answer.message));
    }
    item.state = untouched.includes(answer.code) ? "waiting" : "doubtful";
    item.notBefore = Date.now() + (limited ? this.#allowance.next() : item.backoff.next());
    this.#tooLate([...(this.#lanes.get(item.channel)?.values() ?? [])]);
  }

  /** What is volatile is worth nothing after a pause. */
  #tooLate(items: Item[]): void {
    for (const item of items) {
      if (item.volatile && item.state === "waiting") this.#refuse(item, new Refusal(Local.offline, "offline", true));
    }
  }

  /** On a live channel nobody can tell whether it arrived, and twice is worse than once at most. */
  #doubt(item: Item): void {
    const unknowable = item.volatile || this.#carrier.durable(item.channel) === false;
    if (unknowable) this.#refuse(item, new Refusal(Local.unconfirmed, "unconfirmed", false));
    else item.state = "doubtful";
  }

  #settle(item: Item, receipt: Receipt): void {
    if (this.#remove(item)) item.receipt.resolve(receipt);
  }

  #refuse(item: Item, why: Refusal): void {
    if (this.#remove(item)) item.receipt.reject(why);
  }

  #remove(item: Item): boolean {
    const lane = this.#lanes.get(item.channel);
    if (lane?.get(item.key) !== item) return false;
    lane.delete(item.key);
    if (lane.size === 0) this.#lanes.delete(item.channel);
    this.#size--;
    this.#bytes -= item.size;
    return true;
  }
}
