import type { BackoffOptions } from "./backoff.ts";
import type { Line } from "./line.ts";
import { Listeners, type Off } from "./listeners.ts";
import { Presence } from "./presence.ts";
import type { Refusal } from "./refusal.ts";
import { Subscription } from "./subscription.ts";
import { Tracker } from "./tracker.ts";
import type { EventFrame, GapFrame, PresenceFrame, UnsubscribedFrame } from "./wire.ts";

/** An event, and whether it comes late because it was missed or asked for. */
export interface Delivery {
  frame: EventFrame;
  replayed: boolean;
}

export type ChannelFrame = EventFrame | PresenceFrame | GapFrame | UnsubscribedFrame;

/** Everything this client holds of one channel: the frames go in here and the link's fate is told here. */
export class Mailbox {
  readonly channel: string;
  readonly subscription: Subscription;
  readonly presence = new Presence();
  readonly tracker: Tracker;
  /** Every event that is new, whatever its name. */
  readonly events = new Listeners<Delivery>();

  constructor(channel: string, line: Line, backoff: BackoffOptions) {
    this.channel = channel;
    this.subscription = new Subscription(channel, line, backoff);
    this.tracker = new Tracker(channel, line, () => this.subscription.state !== "subscribing", backoff);
    this.subscription.changes.add(({ state }) => {
      if (state === "subscribed") this.tracker.resume();
      if (state === "subscribing") this.presence.restart();
      if (state === "unsubscribed") this.presence.clear();
    });
  }

  /** Calls the listener for events of one name, or of every name for "*". */
  on(event: string, listener: (delivery: Delivery) => void): Off {
    return this.events.add((delivery) => {
      if (event === "*" || delivery.frame.event === event) listener(delivery);
    });
  }

  receive(frame: ChannelFrame): void {
    switch (frame.op) {
      case "event": {
        const { fresh, replayed } = this.subscription.take(frame);
        if (fresh) this.events.tell({ frame, replayed });
        return this.subscription.delivered(frame);
      }
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
}
