import { Listeners, type Off } from "./listeners.ts";
import type { Mailbox } from "./mailbox.ts";

/** How long somebody types who does not say so again; the server holds everyone to it. */
const lasts = 3_000;

/** How often a user who goes on typing says so. */
const pace = 2_000;

export interface TypingChange {
  /** The users who type, in the order in which they began; never ourselves. */
  users: readonly string[];
  /** The same as one line for people: "ana and luis are typing…", or "". */
  line: string;
}

/** Who is typing in a channel, as one who uses it sees and says it. Nothing of it is stored; what is lost ends by itself. */
export class Typing {
  readonly #typists: Typists;
  #end: ReturnType<typeof setTimeout> | undefined;

  constructor(typists: Typists) {
    this.#typists = typists;
  }

  /** Call it with every key: the others hear of it now and then, and of the end when the calls end. */
  start(): void {
    clearTimeout(this.#end);
    this.#end = setTimeout(() => this.stop(), lasts);
    this.#typists.began(this);
  }

  /** For instance when the text was deleted. Sending it ends it, too. */
  stop(): void {
    clearTimeout(this.#end);
    this.#typists.ended(this);
  }

  get users(): readonly string[] {
    return this.#typists.users;
  }

  /** "ana and luis are typing…", with the names that presence knows. */
  get line(): string {
    return this.#typists.line;
  }

  onChange(handler: (change: TypingChange) => void): Off {
    return this.#typists.changes.add(handler);
  }

  /** @internal What was typed is being sent, which says that it is typed no more. */
  sent(): void {
    clearTimeout(this.#end);
    this.#typists.forget(this);
  }
}

/** All who type in a channel: the others, and those who use it here, who are one user to the others. */
export class Typists {
  readonly changes = new Listeners<TypingChange>();
  readonly #mailbox: Mailbox;
  readonly #publish: (typing: boolean) => void;
  /** The others who type, and what ends it if they do not. */
  readonly #others = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #own = new Set<Typing>();
  #said = 0;

  constructor(mailbox: Mailbox, me: () => string | undefined, publish: (typing: boolean) => void) {
    this.#mailbox = mailbox;
    this.#publish = publish;
    mailbox.events.add(({ frame }) => {
      const { event, from } = frame;
      if (from === undefined || from === me()) return;
      const { typing } = (frame.data ?? {}) as { typing?: boolean };
      if (event === "typing" && typing !== false) this.#began(from);
      else this.#stopped(from);
    });
    mailbox.subscription.changes.add((state) => {
      if (state === "unsubscribed") for (const user of this.users) this.#stopped(user);
    });
  }

  get users(): readonly string[] {
    return [...this.#others.keys()];
  }

  get line(): string {
    return line(this.users.map((user) => this.#name(user)));
  }

  /** One of ours types. */
  began(own: Typing): void {
    this.#own.add(own);
    if (Date.now() - this.#said < pace) return;
    this.#said = Date.now();
    this.#publish(true);
  }

  ended(own: Typing): void {
    if (!this.#own.delete(own) || this.#own.size > 0) return;
    this.#said = 0;
    this.#publish(false);
  }

  /** Ends without a word. */
  forget(own: Typing): void {
    this.#own.delete(own);
    if (this.#own.size === 0) this.#said = 0;
  }

  #began(user: string): void {
    const known = this.#others.get(user);
    clearTimeout(known);
    this.#others.set(user, setTimeout(() => this.#stopped(user), lasts));
    if (known === undefined) this.#tell();
  }

  #stopped(user: string): void {
    clearTimeout(this.#others.get(user));
    if (this.#others.delete(user)) this.#tell();
  }

  #tell(): void {
    this.changes.tell({ users: this.users, line: this.line });
  }

  #name(user: string): string {
    for (const member of this.#mailbox.presence.members.values()) {
      if (member.user === user && member.name) return member.name;
    }
    return user;
  }
}

function line(names: string[]): string {
  const [first, second, third] = names;
  switch (names.length) {
    case 0:
      return "";
    case 1:
      return `${first} is typing…`;
    case 2:
      return `${first} and ${second} are typing…`;
    case 3:
      return `${first}, ${second} and ${third} are typing…`;
    default:
      return `${first}, ${second} and ${names.length - 2} others are typing…`;
  }
}
