import { Deferred } from "./deferred.ts";
import { Listeners } from "./listeners.ts";
import type { PresenceChange } from "./presence.ts";
import type { EventFrame, GapFrame, Position } from "./wire.ts";

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
  /** Why: a server's code, one of `Local`, or 0. */
  code: number;
  reason: string;
}

/** An event, and whether it comes late because it was missed or asked for. */
export interface Delivery {
  frame: EventFrame;
  replayed: boolean;
}

/** Numbers of which none was left out, heard of others' subscriptions before the seat had its own. */
interface Overheard {
  readonly run: number;
  readonly epoch: string;
  readonly from: number;
  to: number;
}

/**
 * One of those who use a channel: what it asked for, and what it has seen. All share the channel's one subscription,
 * yet each hears what it asked for, once, in order, until its own `unsubscribe`.
 */
export class Seat {
  readonly events = new Listeners<Delivery>();
  readonly changes = new Listeners<SubscriptionChange>();
  readonly gaps = new Listeners<GapFrame>();
  readonly presence = new Listeners<PresenceChange>();
  state: SubscriptionState = "unsubscribed";
  options: SubscribeOptions = {};
  outcome = new Deferred<Position | undefined>();
  /** The last event seen, on a durable channel. */
  position: Position | undefined;
  /** The server goes on from this seat's position or before it, so that nothing will be missing. */
  covered = false;
  /** Its subscription has ended, and so it hears nothing. Who never subscribed hears what others' subscriptions bring. */
  left = false;
  /** The last of what it heard without a subscription; history that it asks for does not tell that again. */
  overheard: Overheard | undefined;
  /** Has been told who is here. */
  introduced = false;

  /** Whether it wants to be subscribed. */
  get wanting(): boolean {
    return this.state !== "unsubscribed";
  }

  /** Nobody would miss it. */
  get idle(): boolean {
    return !this.wanting && this.events.size + this.changes.size + this.gaps.size + this.presence.size === 0;
  }

  /** The last number seen in an epoch: those of another epoch say nothing about this one. */
  seen(epoch: string): number {
    return this.position?.epoch === epoch ? this.position.seq : 0;
  }

  /** Hears an event without a subscription; a run ends where the numbers in between are not known. */
  overhear(run: number, epoch: string, seq: number): void {
    if (this.overheard?.run === run) this.overheard.to = seq;
    else this.overheard = { run, epoch, from: seq, to: seq };
  }

  /** Gives a new handler the question whether it has heard an event before, which it has only since it is here. */
  witness(): (event: EventFrame) => boolean {
    const before = this.overheard;
    const missed = before?.to ?? 0;
    return ({ seq = 0 }) => {
      const run = this.overheard;
      if (!run || !this.wanting || run.epoch !== this.position?.epoch) return false;
      return seq >= run.from && seq <= run.to && (run !== before || seq > missed);
    };
  }

  become(state: SubscriptionState, code: number, reason: string): void {
    this.state = state;
    this.changes.tell({ state, code, reason });
  }
}
