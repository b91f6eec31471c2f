import { dataOf, invalid } from "./body.ts";
import { count, history, type HistoryOptions, type Site } from "./history.ts";
import { createKey } from "./key.ts";
import { report, type Off } from "./listeners.ts";
import type { Mailbox } from "./mailbox.ts";
import type { Outbox, Receipt } from "./outbox.ts";
import type { PresenceChange } from "./presence.ts";
import { Seat, type Delivery, type SubscribeOptions, type SubscriptionChange, type SubscriptionState } from "./seat.ts";
import type { TrackOptions } from "./tracker.ts";
import type { Typing } from "./typing.ts";
import type { GapFrame, Member, Position } from "./wire.ts";

/** The data of each event of a channel, by the event's name. */
export type EventMap = Record<string, unknown>;

/** Checks data that goes out or comes in and gives it its type; throws when it does not fit. A Zod schema's `parse` is one. */
export type Parsers<Events extends EventMap> = { readonly [Name in keyof Events]?: (data: unknown) => Events[Name] };

export interface ChannelEvent<Data = unknown> {
  channel: string;
  event: string;
  /** JSON; or a Uint8Array, when a backend published bytes. */
  data: Data;
  /** On stored events: its number in the channel's stream. Numbers rise, and leave out those of other channels. */
  seq?: number;
  /** Who published it. */
  from?: string;
  /** On stored events: the key it was published under. */
  key?: string;
  /** On stored events: when it was stored. */
  at?: string;
  /** Missed or asked for, and so late; false for what happens now. */
  replayed: boolean;
}

export interface PublishOptions {
  /** The idempotency key; made up when there is none. */
  key?: string;
  /** Worthless later, like "is typing": rejected instead of kept when it cannot be sent now. */
  volatile?: boolean;
}

const nobody: ReadonlyMap<string, Member> = new Map();

/**
 * One channel as one part of an application sees it. Every `client.channel(name)` gives another: all share one
 * subscription on the wire, and each has its own `subscribe`, `track`, handlers and end.
 */
export class Channel<Events extends EventMap = EventMap> {
  readonly #mailbox: Mailbox;
  readonly #outbox: Outbox;
  readonly #site: Site;
  readonly #parsers: Parsers<Events>;
  readonly #seat = new Seat();
  /** Who is typing here. */
  readonly typing: Typing;

  constructor(mailbox: Mailbox, outbox: Outbox, site: Site, parsers: Parsers<Events>, typing: Typing) {
    this.typing = typing;
    this.#mailbox = mailbox;
    this.#outbox = outbox;
    this.#site = site;
    this.#parsers = parsers;
  }

  get name(): string {
    return this.#mailbox.channel;
  }

  get state(): SubscriptionState {
    const { state, left } = this.#seat;
    return left || state !== "unsubscribed" ? state : this.#mailbox.subscription.state;
  }

  /** The last event seen, on a durable channel. Kept by the application it is the `since` of a later visit. */
  get position(): Position | undefined {
    return this.#seat.position ?? (this.#seat.left ? undefined : this.#mailbox.subscription.position);
  }

  /** Who is here, by ref: one entry for each session. Needs `subscribe({presence: true})`. */
  get presence(): ReadonlyMap<string, Member> {
    return this.#seat.left ? nobody : this.#mailbox.presence.members;
  }

  /** How many are here, exact even while a large snapshot is coming in. */
  get presenceCount(): number {
    return this.#seat.left ? 0 : this.#mailbox.presence.count;
  }

  /** Asks how many are here, without a subscription. */
  count(): Promise<number> {
    return count(this.#site, this.name);
  }

  /** Listens to one event, or to all of them with "*". */
  on<Name extends keyof Events & string>(event: Name, handler: (event: ChannelEvent<Events[Name]>) => void): Off;
  on(event: "*", handler: (event: ChannelEvent) => void): Off;
  on(event: string, handler: (event: ChannelEvent<never>) => void): Off {
    const heard = this.#seat.witness();
    return this.#mailbox.seat(this.#seat).events.add((delivery) => {
      if ((event !== "*" && delivery.frame.event !== event) || heard(delivery.frame)) return;
      const parsed = this.#parse(delivery);
      if (parsed) handler(parsed);
    });
  }

  /**
   * Joins the channel and stays in it over any number of drops. Resolves with the position to which it is being
   * brought, once the server has accepted; rejects with a {@link Refusal} when it does not. Asked again it only
   * adds presence; for other history call `unsubscribe` before.
   */
  subscribe(options: SubscribeOptions = {}): Promise<Position | undefined> {
    return this.#mailbox.subscribe(this.#seat, options);
  }

  /** Leaves the channel and its presence; others who use it here stay. Handlers are kept for a later `subscribe`. */
  unsubscribe(): Promise<void> {
    this.typing.stop();
    return this.#mailbox.unsubscribe(this.#seat);
  }

  /**
   * Publishes an event. Resolves when it is stored (durable channels, with `seq`) or handed on (live ones).
   * Without a connection it waits for one; a retry after a drop is never stored twice. What JSON cannot say, such as
   * NaN, is refused.
   */
  publish<Name extends keyof Events & string>(
    event: Name,
    data: Events[Name] | Record<string, never> = {},
    options: PublishOptions = {},
  ): Promise<Pick<Receipt, "seq">> {
    const channel = this.name;
    const key = options.key ?? createKey();
    try {
      this.#parsers[event]?.(data);
    } catch (error) {
      return Promise.reject(invalid(error));
    }
    if (event !== "typing") this.typing.sent();
    return this.#outbox.add({ op: "publish", channel, event, key, data }, options.volatile);
  }

  /** Gives a command to the channel's owner, for instance `join` to a room. Kept and repeated like a publish. */
  call(command: string, data: unknown = {}, options: Pick<PublishOptions, "key"> = {}): Promise<Receipt> {
    return this.#outbox.add({ op: "call", channel: this.name, command, key: options.key ?? createKey(), data });
  }

  /** Is present here, or says something new about itself: any JSON. Lasts over drops until `untrack`. */
  track(meta: unknown = {}, options: TrackOptions = {}): Promise<void> {
    return this.#mailbox.tracker.track(this.#seat, meta, options);
  }

  untrack(): Promise<void> {
    return this.#mailbox.tracker.untrack(this.#seat);
  }

  /** Hears of people who come, change and go; never of our own reconnects. */
  onPresence(handler: (change: PresenceChange) => void): Off {
    return this.#mailbox.seat(this.#seat).presence.add(handler);
  }

  offPresence(handler: (change: PresenceChange) => void): void {
    this.#seat.presence.remove(handler);
  }

  clearPresenceHandlers(): void {
    this.#seat.presence.clear();
  }

  /** Hears that events can no longer be given, because the channel's history has ended before them: load the state anew. */
  onGap(handler: (gap: GapFrame) => void): Off {
    return this.#mailbox.seat(this.#seat).gaps.add(handler);
  }

  /** Hears of the subscription: accepted, lost with the connection, ended by the server. */
  onState(handler: (change: SubscriptionChange) => void): Off {
    return this.#mailbox.seat(this.#seat).changes.add(handler);
  }

  /** Reads stored events over HTTP, oldest first, page by page as they are consumed. Needs no subscription. */
  history(options: HistoryOptions = {}): AsyncGenerator<ChannelEvent> {
    return history(this.#site, this.name, options);
  }

  /** Data that does not fit reaches no handler; the application hears of it as of an uncaught error. */
  #parse({ frame, replayed }: Delivery): ChannelEvent<never> | undefined {
    const { op: _, encoding: __, ...event } = frame;
    try {
      const told = dataOf(frame);
      const data = (this.#parsers[frame.event]?.(told) ?? told) as never;
      return { ...event, data, replayed };
    } catch (error) {
      report(error);
      return undefined;
    }
  }
}
