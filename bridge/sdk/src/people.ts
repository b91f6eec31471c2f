import { Backoff, type BackoffOptions } from "./backoff.ts";
import { bodyOf } from "./body.ts";
import { Deferred, ended } from "./deferred.ts";
import type { Line } from "./line.ts";
import type { Answer } from "./link.ts";
import { Listeners, type Off } from "./listeners.ts";
import { Refusal } from "./refusal.ts";
import type { Card, Member, PresenceFrame } from "./wire.ts";

/** What the channels on which users are watched are called. */
const prefix = "presence:user.";

/** How the users are whom somebody watches. They are watched again on every new link. */
export class People {
  readonly #line: Line;
  readonly #backoff: Backoff;
  readonly #changes = new Listeners<Card>();
  #users: readonly string[] = [];
  #cards: ReadonlyMap<string, Card> = new Map();
  #waiting: Deferred<void>[] = [];
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(line: Line, backoff: BackoffOptions) {
    this.#line = line;
    this.#backoff = new Backoff(backoff);
  }

  /** How each is, by id: those the server has told of. A new map with every change. */
  get cards(): ReadonlyMap<string, Card> {
    return this.#cards;
  }

  /** Watches these users, at most 100, and no others. Resolves when it is known how they are. */
  watch(users: readonly string[]): Promise<void> {
    if (this.#line.over) return ended(this.#line.over);
    const asked = [...new Set(users)];
    const body = bodyOf({ op: "watch", users: asked });
    if (body instanceof Refusal) return Promise.reject(body);
    this.#users = asked;
    this.#cards = new Map([...this.#cards].filter(([user]) => this.#users.includes(user)));
    const wish = new Deferred<void>();
    this.#waiting.push(wish);
    this.resume();
    return wish.promise;
  }

  onChange(handler: (card: Card) => void): Off {
    return this.#changes.add(handler);
  }

  /** Whether the frames of a channel are for us. */
  static owns(channel: string): boolean {
    return channel.startsWith(prefix);
  }

  take(frame: PresenceFrame): void {
    const user = frame.channel.slice(prefix.length);
    if ("state" in frame) return frame.state.forEach((member) => this.#show(member));
    for (const member of [...(frame.joins ?? []), ...(frame.updates ?? [])]) this.#show(member);
    if (frame.leaves?.length) this.#tell({ id: user, status: "offline", last_seen: new Date().toISOString(), devices: [] });
  }

  /** A new link. */
  resume(): void {
    clearTimeout(this.#retry);
    if (this.#users.length === 0 && this.#waiting.length === 0) return;
    const asked = this.#users;
    const body = JSON.stringify({ op: "watch", users: asked });
    this.#line.request(body, (answer) => {
      if (asked === this.#users) this.#answered(answer);
    });
  }

  lost(): void {
    clearTimeout(this.#retry);
  }

  end(why: Refusal): void {
    this.lost();
    this.#users = [];
    for (const wish of this.#waiting.splice(0)) wish.end(why);
  }

  #answered(answer: Answer): void {
    if (answer.op === "error" && answer.retry) {
      this.#retry = setTimeout(() => this.resume(), this.#backoff.next());
      return;
    }
    this.#backoff.reset();
    if (answer.op === "ok") {
      for (const card of (answer.data as { users: Card[] }).users) this.#tell(card);
    }
    for (const wish of this.#waiting.splice(0)) {
      if (answer.op === "ok") wish.resolve();
      else wish.reject(new Refusal(answer.code, answer.reason, answer.retry, answer.message));
    }
  }

  #show(member: Member): void {
    this.#tell(member.meta as Card);
  }

  #tell(card: Card): void {
    if (!this.#users.includes(card.id)) return;
    if (JSON.stringify(this.#cards.get(card.id)) === JSON.stringify(card)) return;
    this.#cards = new Map(this.#cards).set(card.id, card);
    this.#changes.tell(card);
  }
}
