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

type Diff = Omit<Exclude<PresenceFrame, { state: Member[] }>, "op" | "channel">;

/**
 * Who is in a channel. The snapshot that comes after every reconnect is compared with what was known, so that
 * listeners hear of people who came or went and never of the reconnect itself.
 */
export class Presence {
  readonly changes = new Listeners<PresenceChange>();
  #members: ReadonlyMap<string, Member> = new Map();
  #count = 0;
  /** Who a snapshot has named so far; undefined between snapshots. */
  #snapshot: Set<string> | undefined;
  /** Diffs that came before their snapshot; undefined once that has begun. */
  #early: Diff[] | undefined = [];

  get members(): ReadonlyMap<string, Member> {
    return this.#members;
  }

  get count(): number {
    return this.#count;
  }

  /** Whether the server has begun to say who is here. */
  get known(): boolean {
    return this.#early === undefined;
  }

  /** A new subscription: a new snapshot will come, and until then the old one is the best guess. */
  restart(): void {
    this.#snapshot = undefined;
    this.#early = [];
  }

  /** Not subscribed any more: nobody is known to be here. */
  clear(): void {
    this.restart();
    this.#apply([], [...this.#members.keys()], 0);
  }

  /** A state is the first page of a snapshot; the other pages come as joins, told apart by nothing but the count. */
  take(frame: PresenceFrame): void {
    if ("state" in frame) {
      this.#snapshot = new Set();
      this.#merge({ joins: frame.state, count: frame.count });
      for (const diff of this.#early?.splice(0) ?? []) this.#merge(diff);
      this.#early = undefined;
    } else if (this.#early) {
      this.#early.push(frame);
    } else {
      this.#merge(frame);
    }
  }

  /** Members are added at once; but who is not in a snapshot is gone only when all of it has come. */
  #merge(diff: Diff): void {
    const came = [...(diff.joins ?? []), ...(diff.updates ?? [])];
    const left = (diff.leaves ?? []).map(({ ref }) => ref);
    const snapshot = this.#snapshot;
    if (snapshot) {
      for (const { ref } of came) snapshot.add(ref);
      for (const ref of left) snapshot.delete(ref);
      if (snapshot.size >= diff.count) {
        left.push(...[...this.#members.keys()].filter((ref) => !snapshot.has(ref)));
        this.#snapshot = undefined;
      }
    }
    this.#apply(came, left, diff.count);
  }

  #apply(came: Member[], left: string[], count: number): void {
    const members = new Map(this.#members);
    const change: PresenceChange = { joins: [], updates: [], leaves: [], members, count };
    for (const ref of left) {
      const known = members.get(ref);
      if (known) change.leaves.push(known);
      members.delete(ref);
    }
    for (const member of came) {
      const known = members.get(member.ref);
      if (!known) change.joins.push(member);
      else if (!same(known, member)) change.updates.push(member);
      members.set(member.ref, member);
    }
    const silent = change.joins.length + change.updates.length + change.leaves.length === 0;
    if (silent && this.#count === count) return;
    this.#members = members;
    this.#count = count;
    this.changes.tell(change);
  }
}

function same(one: Member, other: Member): boolean {
  return shown(one) === shown(other);
}

const shown = (member: Member): string => JSON.stringify({ ...member, since: 0 });

/** Members by the key that they want to be shown under; under one key the last one that came. */
export function byKey(members: ReadonlyMap<string, Member>): Map<string, Member> {
  const all = [...members.values()].sort((one, other) => one.since.localeCompare(other.since));
  return new Map(all.map((member) => [member.key ?? member.ref, member]));
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
