import type { Backoff } from "./backoff.ts";
import { Link, type Answer } from "./link.ts";
import { Listeners } from "./listeners.ts";
import { Local, Refusal } from "./refusal.ts";
import type { ResumeId } from "./resume.ts";
import type { Socket } from "./socket.ts";
import type { TokenSource } from "./token.ts";
import { verdict } from "./verdict.ts";
import { codes, type HelloFrame, type ServerFrame, type WelcomeFrame } from "./wire.ts";

/**
 * - `connecting`: there is no connection, but there will be; this is also the state between two connections.
 * - `connected`: everything works.
 * - `degraded`: the server is there but its bus is away; it heals by itself.
 * - `disconnected`: not started, closed, or refused in a way that trying again cannot mend.
 */
export type State = "connecting" | "connected" | "degraded" | "disconnected";

/** What a user is there with. */
export type Device = "web" | "mobile" | "desktop";

export interface StateChange {
  state: State;
  /** Why: a server's or a WebSocket close code, one of {@link Local}, or 0. */
  code: number;
  reason: string;
  /** One sentence for people, where there is more to say. */
  message?: string;
}

export interface ConnectionNews {
  ready(welcome: WelcomeFrame): void;
  frame(frame: ServerFrame): void;
  /** Something came that cannot be read. */
  unreadable(): void;
  /** The link broke; what it had not answered is open again. A new one is on its way unless `stopped` follows. */
  lost(): void;
  /** Nothing is on its way any more. */
  stopped(why: Refusal): void;
}

export interface ConnectionParts {
  client: string;
  device: Device | undefined;
  tokens: TokenSource;
  resume: ResumeId;
  backoff: Backoff;
  dial: () => Socket;
  news: ConnectionNews;
}

/** A link that lived this long was a good one: the next pauses start small again. */
const settled = 10_000;

/** Upper bound of the pause after a link that was welcomed: well within the grace of a server, so that nobody is told to have left. */
const brief = 4_000;

/** One logical connection over any number of links: dials, says hello, renews the token, comes back. */
export class Connection {
  readonly changes = new Listeners<StateChange>();
  readonly #parts: ConnectionParts;
  #state: State = "disconnected";
  #link: Link | undefined;
  #welcome: WelcomeFrame | undefined;
  /** When this link was welcomed, if it was. */
  #welcomedAt: number | undefined;
  #redial: ReturnType<typeof setTimeout> | undefined;
  #renewal: ReturnType<typeof setTimeout> | undefined;
  #draining = false;
  #dialling = 0;
  #refusedToken = false;
  /** What ends is being told that it has; `open()` waits for that. */
  #stopping = false;
  #reopen = false;
  #trouble: Refusal | undefined;
  #over: Refusal | undefined;
  /** What the server said before it closed. */
  #complaint: string | undefined;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
  }

  get state(): State {
    return this.#state;
  }

  /** The newest welcome; kept over drops. */
  get welcome(): WelcomeFrame | undefined {
    return this.#welcome;
  }

  /** Why nothing is connected and nothing will be; undefined otherwise. */
  get over(): Refusal | undefined {
    return this.#over;
  }

  /** What keeps us from being connected; undefined while we are, or when nothing has gone wrong yet. */
  get trouble(): Refusal | undefined {
    return this.#trouble;
  }

  /** Begins, unless it has begun. Whoever is told of an end may begin again. */
  open(): void {
    this.#reopen = this.#stopping;
    if (this.#stopping || this.#state !== "disconnected") return;
    this.#over = this.#trouble = undefined;
    this.#refusedToken = false;
    this.#parts.backoff.reset();
    this.#state = "connecting";
    void this.#dial();
    this.#become("connecting", 0, "open");
  }

  close(): void {
    this.#reopen = false;
    if (this.#state === "disconnected") return;
    this.#parts.resume.forget();
    this.#parts.tokens.forget();
    this.#stop(Local.closed, "closed");
  }

  /** Sends on the living link; false when there is none. The answer may never come: then `lost` is told. */
  request(body: string, answered: (answer: Answer) => void): boolean {
    if (!this.#link || (this.#state !== "connected" && this.#state !== "degraded")) return false;
    this.#link.request(body, answered);
    return true;
  }

  /** Sends what has no answer, if there is a living link. */
  tell(body: string): void {
    if (this.#state === "connected" || this.#state === "degraded") this.#link?.tell(body);
  }

  /** Whether the server asked us to leave: what is sent now might not be answered. */
  get draining(): boolean {
    return this.#draining;
  }

  /** A good moment to try: the user is back. */
  wake(): void {
    this.#link?.probe();
    if (!this.#link && this.#redial !== undefined) void this.#dial();
  }

  /** The network changed: a link that lives has to prove it, and a dial over the old network would only fail later. */
  online(): void {
    if (this.#state === "connecting") this.#leave(Local.online, "online");
    else this.#link?.probe();
  }

  /** Leaves the link, if there is one, and dials at once. */
  #leave(code: number, reason: string): void {
    const link = this.#link;
    this.#link = undefined;
    link?.drop(code, reason);
    if (link && !this.#lost()) return;
    void this.#dial();
    this.#become("connecting", code, reason);
  }

  /** Tells that the link broke; false if whoever heard it closed or opened the connection, which goes its own way then. */
  #lost(): boolean {
    const attempt = this.#dialling;
    this.#parts.news.lost();
    return attempt === this.#dialling && this.#state !== "disconnected";
  }

  async #dial(): Promise<void> {
    clearTimeout(this.#redial);
    clearTimeout(this.#renewal);
    this.#redial = undefined;
    this.#draining = false;
    this.#welcomedAt = undefined;
    const attempt = ++this.#dialling;
    let token: string;
    try {
      token = await this.#parts.tokens.current();
    } catch (error) {
      if (attempt === this.#dialling) this.#withoutToken(error);
      return;
    }
    if (attempt !== this.#dialling) return;
    let socket: Socket;
    try {
      socket = this.#parts.dial();
    } catch (error) {
      // The browser forbids the address itself, as ws: on an https: page. That does not pass.
      return this.#stop(Local.invalid, "address", error instanceof Error ? error.message : undefined);
    }
    const link: Link = new Link(socket, this.#hello(token), {
      welcome: (frame) => this.#welcomed(frame),
      frame: (frame) => this.#read(frame),
      unreadable: () => this.#parts.news.unreadable(),
      closed: (code, reason) => {
        if (link === this.#link) this.#closed(code, reason);
      },
    });
    this.#link = link;
    this.#complaint = undefined;
  }

  /** Nobody would know why nothing happens, unless they are told. */
  #withoutToken(error: unknown): void {
    const { code, reason, retry, message } = error instanceof Refusal ? error : new Refusal(Local.token, "token");
    if (this.#trouble?.message !== message) console.warn(`latido: ${message}`);
    if (retry) this.#again(code, reason, message);
    else this.#stop(code, reason, message);
  }

  #hello(token: string): HelloFrame {
    const hello: HelloFrame = { op: "hello", token, client: this.#parts.client, batch: true };
    if (this.#parts.device) hello.device = { kind: this.#parts.device };
    return Object.assign(hello, this.#parts.resume.current);
  }

  #welcomed(frame: WelcomeFrame): void {
    this.#welcome = frame;
    this.#welcomedAt = Date.now();
    this.#refusedToken = false;
    this.#trouble = undefined;
    this.#parts.resume.keep(frame);
    this.#planRenewal();
    const link = this.#link;
    this.#become("connected", 0, "welcome");
    if (link !== this.#link) return; // somebody who was told of it closed
    this.#parts.news.ready(frame);
  }

  #read(frame: ServerFrame): void {
    switch (frame.op) {
      case "error":
        this.#complaint = frame.message;
        return;
      case "degraded":
        return this.#become("degraded", 0, "degraded");
      case "restored":
        return this.#become("connected", 0, "restored");
      case "drain":
        this.#draining = true;
        clearTimeout(this.#redial);
        this.#redial = setTimeout(() => this.#leave(codes.draining, "draining"), frame.return_in);
        return;
    }
    this.#parts.news.frame(frame);
  }

  #closed(code: number, reason: string): void {
    this.#link = undefined;
    clearTimeout(this.#renewal);
    if (!this.#lost()) return;
    if (this.#welcomedAt !== undefined && Date.now() - this.#welcomedAt >= settled) this.#parts.backoff.reset();
    const complaint = this.#complaint;
    switch (verdict(code)) {
      case "stop":
        return this.#stop(code, reason, complaint);
      case "token":
        return this.#anotherToken(code, reason);
      case "session":
        this.#parts.resume.forget();
    }
    this.#again(code, reason, complaint);
  }

  /** A refused token is replaced once at once; one that merely ended may be replaced any number of times, with pauses. */
  #anotherToken(code: number, reason: string): void {
    const { tokens } = this.#parts;
    const complaint = this.#complaint;
    if (!tokens.renewable || (this.#refusedToken && code === codes.unauthenticated)) return this.#stop(code, reason, complaint);
    tokens.forget();
    if (this.#refusedToken) return this.#again(code, reason, complaint);
    this.#refusedToken = true;
    void this.#dial();
    this.#become("connecting", code, reason, complaint);
  }

  #again(code: number, reason: string, message?: string): void {
    this.#trouble = new Refusal(code, reason, true, message);
    // A server that drains has said when to return, and spreads its clients itself.
    const most = this.#welcomedAt === undefined ? undefined : brief;
    if (!this.#draining) this.#redial = setTimeout(() => void this.#dial(), this.#parts.backoff.next(most));
    this.#become("connecting", code, reason, message);
  }

  #stop(code: number, reason: string, message?: string): void {
    clearTimeout(this.#redial);
    clearTimeout(this.#renewal);
    this.#redial = undefined;
    this.#draining = false;
    this.#dialling++;
    const why = new Refusal(code, reason || "closed", false, message);
    this.#over = this.#trouble = why;
    this.#state = "disconnected";
    this.#stopping = true;
    this.#link?.drop(code, reason);
    this.#parts.news.stopped(why);
    this.#stopping = false;
    this.changes.tell(changeOf("disconnected", code, reason, message));
    if (this.#reopen) this.open();
  }

  #planRenewal(): void {
    clearTimeout(this.#renewal);
    const pause = this.#parts.tokens.renewIn;
    if (pause === undefined) return;
    // A timer holds at most 2³¹-1 ms; a token that lasts longer is looked at again then.
    this.#renewal = setTimeout(() => void this.#renew(), Math.min(pause, 2 ** 31 - 1));
  }

  async #renew(): Promise<void> {
    const link = this.#link;
    try {
      const token = await this.#parts.tokens.renew();
      if (link !== this.#link) return;
      // A refusal needs no handling: the server closes with the same code when the old token ends.
      this.request(JSON.stringify({ op: "token", token }), () => {});
    } catch {
      // The old token still holds; the question is asked again below.
    }
    if (link === this.#link) this.#planRenewal();
  }

  /** Comes last, for whoever is told may do anything. */
  #become(state: State, code: number, reason: string, message?: string): void {
    if (this.#state === state && state !== "connecting") return;
    this.#state = state;
    this.changes.tell(changeOf(state, code, reason, message));
  }
}

function changeOf(state: State, code: number, reason: string, message?: string): StateChange {
  return message === undefined ? { state, code, reason } : { state, code, reason, message };
}
