import { Listeners } from "./listeners.ts";
import type { Member, PresenceFrame } from "./wire.ts";

export interface PresenceChange {
  joins: Member[];
  /** Members whose meta, name or device is another now. */
  updates: Member[];
  leaves: Member[];
  /** Who is here now, by ref. A new map with every change, so it can be compared by identity. */
  members: ReadonlyMap<string, Member>;
  /** How many are here; exact even while a large snapshot is still coming in. */
  count: number;
}

/**
 * Who is in a channel. The snapshot that comes after every reconnect is compared with what was known, so that
 * listeners hear of people who came or went and never of the reconnect itself.
 */
export class Presence {
  readonly changes = new Listeners<PresenceChange>();
  #members: ReadonlyMap<string, Member> = new Map();
  #count = 0;
  /** The pages of a snapshot that is not complete; undefined between snapshots. */
  #snapshot: Map<string, Member> | undefined;
  /** Diffs that came before their snapshot; undefined once that has begun. */
  #early: PresenceFrame[] | undefined = [];

  get members(): ReadonlyMap<string, Member> {
    return this.#members;
  }

  get count(): number {
    return this.#count;
  }

  /** A new subscription: a new snapshot will come, and until then the old one is the best guess. */
  restart(): void {
    this.#snapshot = undefined;
    this.#early = [];
  }

  /** Not subscribed any more: nobody is known to be here. */
  clear(): void {
    this.restart();
    this.#apply({ leaves: [...this.#members.values()], count: 0 });
  }

  take(frame: PresenceFrame): void {
    if (frame.state) this.#page(frame.state, frame.count);
    else if (this.#early) this.#early.push(frame);
    else this.#diff(frame);
  }

  /** A page adds members at once, but nobody is called gone before the last page. */
  #page(page: Member[], count: number): void {
    const snapshot = (this.#snapshot ??= new Map());
    for (const member of page) snapshot.set(member.ref, member);
    const complete = snapshot.size >= count;
    const gone = complete ? [...this.#members.values()].filter((member) => !snapshot.has(member.ref)) : [];
    if (complete) this.#snapshot = undefined;
    this.#apply({ joins: page, leaves: gone, count });
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const diff of early) this.#diff(diff);
  }

  #diff(frame: PresenceFrame): void {
    for (const member of [...(frame.joins ?? []), ...(frame.updates ?? [])]) this.#snapshot?.set(member.ref, member);
    for (const { ref } of frame.leaves ?? []) this.#snapshot?.delete(ref);
    const joins = [...(frame.joins ?? []), ...(frame.updates ?? [])];
    this.#apply({ joins, leaves: frame.leaves ?? [], count: frame.count });
  }

  #apply(news: { joins?: Member[]; leaves: { ref: string }[]; count: number }): void {
    const members = new Map(this.#members);
    const change: PresenceChange = { joins: [], updates: [], leaves: [], members, count: news.count };
    for (const { ref } of news.leaves) {
      const known = members.get(ref);
      if (known) change.leaves.push(known);
      members.delete(ref);
    }
    for (const member of news.joins ?? []) {
      const known = members.get(member.ref);
      if (!known) change.joins.push(member);
      else if (!same(known, member)) change.updates.push(member);
      members.set(member.ref, member);
    }
    const silent = change.joins.length + change.updates.length + change.leaves.length === 0;
    if (silent && this.#count === news.count) return;
    this.#members = members;
    this.#count = news.count;
    this.changes.tell(change);
  }
}

function same(one: Member, other: Member): boolean {
  return JSON.stringify([one.name, one.device, one.meta]) === JSON.stringify([other.name, other.device, other.meta]);
}

/** Folds sessions to people: one entry for a user with three tabs, in the order of their arrival. */
export function byUser(members: ReadonlyMap<string, Member>): Map<string, Member[]> {
  const users = new Map<string, Member[]>();
  const all = [...members.values()].sort((one, other) => one.since.localeCompare(other.since));
  for (const member of all) {
    const sessions = users.get(member.user);
    if (sessions) sessions.push(member);
    else users.set(member.user, [member]);
  }
  return users;
}
