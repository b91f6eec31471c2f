import { Backoff, type BackoffOptions } from "./backoff.ts";
import { Deferred } from "./deferred.ts";
import type { Line } from "./line.ts";
import type { Answer } from "./link.ts";
import { Pace } from "./pace.ts";
import { Local, Refusal } from "./refusal.ts";
import { codes, type CallRequest, type EventFrame, type Limits, type OkFrame, type PublishRequest } from "./wire.ts";

export interface OutboxOptions {
  /** How many unacknowledged requests are kept. Default 1,000. */
  queue?: number;
  /** How long, in milliseconds, a server that is there may answer "later" before the caller is told. Default 30,000. */
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
  /** Serialized once: a key means one body, whatever the application does to its object meanwhile. */
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

/**
 * Publishes and calls from the moment they are made until their outcome is known, in order per channel.
 * After a drop each doubtful one is looked for in the replay of its channel; only what is not there is sent
 * again, under the same key. So nothing is stored twice however long the drop lasted.
 */
export class Outbox {
  readonly #carrier: Carrier;
  readonly #options: OutboxOptions;
  /** In the order they were made, by channel and key. */
  readonly #items = new Map<string, Item>();
  readonly #pace = new Pace();
  #frameLimit = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(carrier: Carrier, options: OutboxOptions) {
    this.#carrier = carrier;
    this.#options = options;
  }

  /** How many requests have no outcome yet. */
  get size(): number {
    return this.#items.size;
  }

  /**
   * Takes a request in. Rejects at once when the queue is full, or when it is volatile and cannot be sent now.
   * The same request again, under the same key, is the same request.
   */
  async add(request: PublishRequest | CallRequest, volatile = false): Promise<Receipt> {
    const body = JSON.stringify(request);
    const twin = this.#items.get(place(request));
    if (twin?.body === body) return twin.receipt.promise;
    if (twin) throw new Refusal(codes.key_reused, "key_reused");
    if (volatile && !this.#carrier.isOpen()) throw new Refusal(Local.offline, "offline", true);
    if (this.#items.size >= (this.#options.queue ?? 1_000)) throw new Refusal(Local.full, "full", true);
    const item = this.#item(request, body, volatile);
    this.#items.set(place(item), item);
    this.flush();
    return item.receipt.promise;
  }

  #item({ channel, key }: PublishRequest | CallRequest, body: string, volatile: boolean): Item {
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

  /** A new link. */
  restart(limits: Limits): void {
    this.#pace.restart(limits.publishes);
    this.#frameLimit = limits.frame;
  }

  /** The link broke: what was sent and not answered is doubtful now. */
  lost(): void {
    clearTimeout(this.#timer);
    for (const item of this.#items.values()) {
      if (item.seen !== undefined) this.#settle(item, { seq: item.seen });
      else if (item.state !== "waiting") this.#doubt(item);
    }
  }

  /** An event of ours went by; the acknowledgement may never come, and a replay will not show the event again. */
  observe(event: EventFrame): void {
    const { channel, key, seq } = event;
    if (seq === undefined || key === undefined) return;
    const item = this.#items.get(place({ channel, key }));
    if (!item) return;
    item.seen = seq;
    if (item.state === "doubtful") this.#settle(item, { seq });
  }

  /** Sends what may be sent. A channel that has to wait for something waits as a whole, so its order is kept. */
  flush(): void {
    clearTimeout(this.#timer);
    if (!this.#carrier.isOpen()) return;
    const held = new Set<string>();
    let soonest = Infinity;
    for (const item of this.#items.values()) {
      if (item.state === "sent" || held.has(item.channel)) continue;
      const pause = this.#hindrance(item);
      if (pause === 0) this.#send(item);
      else held.add(item.channel);
      if (pause > 0) soonest = Math.min(soonest, pause);
    }
    if (soonest !== Infinity) this.#timer = setTimeout(() => this.flush(), soonest);
  }

  /** Ends everything that has no outcome. */
  end(why: Refusal): void {
    clearTimeout(this.#timer);
    for (const item of this.#items.values()) item.receipt.reject(why);
    this.#items.clear();
  }

  /** For how long an item has to wait: 0 not at all, Infinity until something else happens. */
  #hindrance(item: Item): number {
    if (item.state === "doubtful" && this.#carrier.catchingUp(item.channel)) return Infinity;
    const pause = item.notBefore - Date.now();
    return pause > 0 ? pause : this.#pace.take();
  }

  #send(item: Item): void {
    if (item.size + 24 > this.#frameLimit) return this.#refuse(item, new Refusal(codes.frame_too_large, "frame_too_large"));
    item.state = "sent";
    this.#carrier.request(item.body, (answer) => this.#answered(item, answer));
  }

  #answered(item: Item, answer: Answer): void {
    if (answer.op === "ok") {
      const receipt: Receipt = {};
      if (answer.seq !== undefined) receipt.seq = answer.seq;
      if (answer.data !== undefined) receipt.data = answer.data;
      return this.#settle(item, receipt);
    }
    if (item.seen !== undefined) return this.#settle(item, { seq: item.seen });
    item.giveUpAt = Math.min(item.giveUpAt, Date.now() + (this.#options.patience ?? 30_000));
    if (!answer.retry || item.volatile || Date.now() >= item.giveUpAt) {
      return this.#refuse(item, new Refusal(answer.code, answer.reason, answer.retry, answer.message));
    }
    item.state = answer.code === codes.rate_limited ? "waiting" : "doubtful";
    item.notBefore = Date.now() + item.backoff.next();
    this.flush();
  }

  /** On a live channel nobody can tell whether it arrived, and twice is worse than once at most. */
  #doubt(item: Item): void {
    const unknowable = item.volatile || this.#carrier.durable(item.channel) === false;
    if (unknowable) this.#refuse(item, new Refusal(Local.unconfirmed, "unconfirmed", false));
    else item.state = "doubtful";
  }

  #settle(item: Item, receipt: Receipt): void {
    this.#items.delete(place(item));
    item.receipt.resolve(receipt);
  }

  #refuse(item: Item, why: Refusal): void {
    this.#items.delete(place(item));
    item.receipt.reject(why);
  }
}

function place({ channel, key }: { channel: string; key: string }): string {
  return `${channel}\n${key}`;
}
