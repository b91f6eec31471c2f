import type { BackoffOptions } from "./backoff.ts";
import type { Line } from "./line.ts";
import { Listeners } from "./listeners.ts";
import { Presence, type PresenceChange } from "./presence.ts";
import { Local, Refusal } from "./refusal.ts";
import { Seat, type Delivery, type SubscribeOptions } from "./seat.ts";
import { Subscription } from "./subscription.ts";
import { Tracker } from "./tracker.ts";
import type { EventFrame, GapFrame, Position, PresenceFrame, UnsubscribedFrame } from "./wire.ts";

export type ChannelFrame = EventFrame | PresenceFrame | GapFrame | UnsubscribedFrame;

/** Everything this client holds of one channel: the frames go in here and the link's fate is told here. */
export class Mailbox {
  readonly channel: string;
  readonly subscription: Subscription;
  readonly presence = new Presence();
  readonly tracker: Tracker;
  /** Every event that is new to all, whatever its name. */
  readonly events = new Listeners<Delivery>();
  readonly #seats = new Set<Seat>();

  constructor(channel: string, line: Line, backoff: BackoffOptions) {
    this.channel = channel;
    this.subscription = new Subscription(channel, line, backoff);
    this.tracker = new Tracker(channel, line, () => !this.subscription.turning, backoff);
    this.subscription.gone.add(() => this.tracker.restart());
    this.subscription.changes.add((state) => {
      if (state === "subscribed") this.tracker.resume();
      if (state === "subscribing") this.presence.restart();
      if (state !== "unsubscribed") return;
      this.presence.clear();
      this.tracker.resume(); // one may be present without a subscription
    });
    this.presence.changes.add((change) => this.#tell(change));
  }

  /** Makes a seat hear what comes. Those that nobody uses any more are forgotten. */
  seat(seat: Seat): Seat {
    for (const other of this.#seats) if (other.idle) this.#seats.delete(other);
    this.#seats.add(seat);
    return seat;
  }

  subscribe(seat: Seat, options: SubscribeOptions): Promise<Position | undefined> {
    const subscribed = this.subscription.subscribe(this.seat(seat), options);
    subscribed.then(() => this.#introduce(seat), () => {});
    return subscribed;
  }

  /** A seat leaves, with what it said about itself; when it is the last one the channel is left. */
  unsubscribe(seat: Seat): Promise<void> {
    const alone = this.subscription.isAlone(seat);
    this.tracker.release(seat, new Refusal(Local.unsubscribed, "unsubscribed"), alone);
    if (seat.introduced) {
      const leaves = [...this.presence.members.values()];
      seat.introduced = false;
      seat.presence.tell({ joins: [], updates: [], leaves, members: new Map(), count: 0 });
    }
    return this.subscription.unsubscribe(seat);
  }

  receive(frame: ChannelFrame): void {
    switch (frame.op) {
      case "event":
        return this.#deliver(frame);
      case "presence":
        return this.presence.take(frame);
      case "gap":
        return this.subscription.gap(frame);
      case "unsubscribed":
        return this.subscription.ended(frame.code, frame.reason);
    }
  }

  resume(): void {
    this.subscription.resume();
    if (this.subscription.state === "unsubscribed") this.tracker.resume();
  }

  lost(): void {
    this.subscription.lost();
    this.tracker.lost();
  }

  end(why: Refusal): void {
    this.subscription.end(why);
    this.tracker.end(why);
  }

  #deliver(frame: EventFrame): void {
    const { fresh, replayed } = this.subscription.take(frame);
    if (fresh) this.events.tell({ frame, replayed });
    for (const seat of [...this.#seats]) {
      if (this.subscription.takeFor(seat, frame, fresh)) seat.events.tell({ frame, replayed });
    }
    this.subscription.delivered(frame);
  }

  #tell(change: PresenceChange): void {
    for (const seat of [...this.#seats]) {
      if (seat.left || (seat.wanting && !seat.options.presence)) continue;
      seat.presence.tell(seat.introduced ? change : everybody(change));
      seat.introduced = change.count > 0;
    }
  }

  /** Tells a newcomer who is here already. */
  #introduce(seat: Seat): void {
    const { members, count, known } = this.presence;
    if (seat.introduced || !known || count === 0 || (seat.wanting && !seat.options.presence)) return;
    seat.introduced = true;
    seat.presence.tell(everybody({ members, count }));
  }
}

/** What a newcomer is told: that all who are here have come. */
function everybody({ members, count }: Pick<PresenceChange, "members" | "count">): PresenceChange {
  return { joins: [...members.values()], updates: [], leaves: [], members, count };
}
