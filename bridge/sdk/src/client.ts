import { watchUser } from "./activity.ts";
import { Backoff, type BackoffOptions } from "./backoff.ts";
import { Channel, type EventMap, type Parsers } from "./channel.ts";
import { Connection, type Device, type State, type StateChange } from "./connection.ts";
import { Deferred } from "./deferred.ts";
import type { Site } from "./history.ts";
import { createKey } from "./key.ts";
import type { Off } from "./listeners.ts";
import { Mailbox } from "./mailbox.ts";
import { Outbox, type Carrier, type Receipt } from "./outbox.ts";
import { tabStorage, watchPage } from "./page.ts";
import { People } from "./people.ts";
import { Local, Refusal } from "./refusal.ts";
import { ResumeId } from "./resume.ts";
import { TokenSource, type Token } from "./token.ts";
import { Typing } from "./typing.ts";
import type { Schedule, ServerFrame, SetStatus, WelcomeFrame } from "./wire.ts";

export interface ClientOptions {
  /** The server's WebSocket address. Default: `/ws` at the page's own origin. */
  url?: string;
  /** A token, or a function that gets a new one whenever one is needed. */
  token: Token;
  /** What this application is, for the server's statistics, such as "shop/2.1". */
  client?: string;
  /** Shows the user as being there with this. Without it only `track` shows them anywhere. */
  device?: Device;
  /** How many unacknowledged publishes and calls are kept. Default 1,000. */
  queue?: number;
  backoff?: BackoffOptions;
  /** The WebSocket to use where there is no global one. */
  WebSocket?: typeof WebSocket;
}

/** Creates a client, which connects at once and stays connected until `close()`. */
export function createClient(options: ClientOptions): Client {
  return new Client(options);
}

/** One connection, shared by any number of channels. */
export class Client {
  readonly #connection: Connection;
  readonly #resume: ResumeId;
  readonly #outbox: Outbox;
  readonly #backoff: BackoffOptions;
  readonly #site: Site;
  readonly #mailboxes = new Map<string, Mailbox>();
  readonly #device: Device | undefined;
  /** How the users are whom we watch. */
  readonly people: People;
  readonly #typing = new Map<string, Typing>();
  #nameless: Deferred<string>[] = [];
  #leavePage: Off = () => {};
  #leaveUser: Off = () => {};

  constructor(options: ClientOptions) {
    const url = address(options.url);
    const client = options.client ?? "web";
    const tokens = new TokenSource(options.token);
    const Socket = options.WebSocket ?? WebSocket;
    this.#backoff = options.backoff ?? {};
    this.#site = { url: url.origin.replace(/^ws/, "http"), token: () => tokens.current() };
    this.#resume = new ResumeId(`${client}@${url}`, tabStorage());
    this.#outbox = this.#openOutbox(options);
    this.#device = options.device;
    this.#connection = new Connection({
      client,
      device: options.device,
      tokens,
      resume: this.#resume,
      backoff: new Backoff(this.#backoff),
      dial: () => new Socket(url, "latido.v1"),
      news: {
        ready: (welcome) => this.#ready(welcome),
        frame: (frame) => this.#receive(frame),
        lost: () => this.#lost(),
        stopped: (why) => this.#stopped(why),
      },
    });
    this.people = new People(this.#connection, this.#backoff);
    this.#connection.changes.add(({ reason }) => {
      if (reason === "restored") this.#restored();
    });
    this.open();
  }

  get state(): State {
    return this.#connection.state;
  }

  /** Who the server says we are; undefined before the first connection. */
  get me(): Pick<WelcomeFrame, "user" | "ref" | "name" | "role" | "node"> | undefined {
    return this.#connection.welcome;
  }

  /** How many publishes and calls have no outcome yet. */
  get pending(): number {
    return this.#outbox.size;
  }

  /** Hears of every change of state, with its reason. */
  onState(handler: (change: StateChange) => void): Off {
    return this.#connection.changes.add(handler);
  }

  /** The channel of this name. Parsers, given the first time, check what is published and received. */
  channel<Events extends EventMap = EventMap>(name: string, parsers: Parsers<Events> = {}): Channel<Events> {
    let mailbox = this.#mailboxes.get(name);
    if (!mailbox) {
      mailbox = this.#openMailbox(name);
      this.#mailboxes.set(name, mailbox);
    }
    return new Channel(mailbox, this.#outbox, this.#site, parsers, this.#typingIn(mailbox));
  }

  /** Chooses how others see us, which wins over what our devices say until it ends or is cleared. */
  setStatus(status: SetStatus): Promise<Receipt> {
    return this.#own("set_status", status);
  }

  clearStatus(): Promise<Receipt> {
    return this.#own("clear_status", {});
  }

  /** Plans a status, once or for hours of every week. The same name replaces the earlier plan. */
  schedule(plan: Schedule): Promise<Receipt> {
    return this.#own("schedule_status", plan);
  }

  cancelSchedule(schedule: string): Promise<Receipt> {
    return this.#own("cancel_schedule", { schedule });
  }

  /** Connects again after `close()`, or after the server refused for good and the reason is gone. */
  open(): void {
    this.#leavePage();
    this.#leavePage = watchPage({
      online: () => this.#connection.redial(),
      visible: () => this.#connection.wake(),
      hide: () => this.#resume.park(),
      show: () => {
        this.#resume.take();
        this.#connection.wake();
      },
    });
    this.#leaveUser();
    if (this.#device) this.#leaveUser = watchUser(() => this.touch());
    this.#connection.open();
  }

  /** Says that the user did something. In a browser that is noticed by itself. */
  touch(): void {
    if (this.#device) this.#connection.tell('{"op":"activity"}');
  }

  /** Says goodbye: members leave at once, channels are unsubscribed, and everything without an outcome is rejected. */
  close(): void {
    this.#connection.close();
  }

  async #own(command: string, data: unknown): Promise<Receipt> {
    return this.channel(`user:${await this.#user()}`).call(command, data);
  }

  /** Who we are, as soon as a server has said so. */
  #user(): Promise<string> {
    const known = this.me?.user;
    if (known !== undefined) return Promise.resolve(known);
    if (this.state === "disconnected") return Promise.reject(new Refusal(Local.offline, "offline"));
    const wish = new Deferred<string>();
    this.#nameless.push(wish);
    return wish.promise;
  }

  #typingIn(mailbox: Mailbox): Typing {
    const { channel } = mailbox;
    let typing = this.#typing.get(channel);
    if (!typing) {
      const say = (typing: boolean) => {
        const request = { op: "publish", channel, event: "typing", key: createKey(), data: { typing } } as const;
        this.#outbox.add(request, true).catch(() => {}); // who is away is not seen to type
      };
      typing = new Typing(mailbox, () => this.me?.user, say);
      this.#typing.set(channel, typing);
    }
    return typing;
  }

  #openOutbox(options: ClientOptions): Outbox {
    const carrier: Carrier = {
      request: (body, answered) => this.#connection.request(body, answered),
      catchingUp: (channel) => this.#mailboxes.get(channel)?.subscription.catchingUp ?? false,
      durable: (channel) => this.#mailboxes.get(channel)?.subscription.durable,
      isOpen: () => this.#connection.state === "connected" && !this.#connection.draining,
    };
    return new Outbox(carrier, options);
  }

  #openMailbox(name: string): Mailbox {
    const mailbox = new Mailbox(name, this.#connection, this.#backoff);
    mailbox.events.add(({ frame }) => {
      // Keys belong to their user: another's may read the same.
      if (frame.from === this.me?.user) this.#outbox.observe(frame);
    });
    mailbox.subscription.whole.add(() => this.#outbox.flush());
    return mailbox;
  }

  /** Subscriptions go first, so that the replay can say which doubtful publishes arrived. */
  #ready(welcome: WelcomeFrame): void {
    for (const wish of this.#nameless.splice(0)) wish.resolve(welcome.user);
    this.#outbox.restart(welcome.limits);
    for (const mailbox of this.#mailboxes.values()) mailbox.resume();
    this.people.resume();
    this.#outbox.flush();
  }

  #receive(frame: ServerFrame): void {
    if (!("channel" in frame)) return;
    this.#mailboxes.get(frame.channel)?.receive(frame);
    if (frame.op === "presence" && People.owns(frame.channel)) this.people.take(frame);
  }

  #restored(): void {
    for (const mailbox of this.#mailboxes.values()) mailbox.subscription.hurry();
    this.#outbox.flush();
  }

  #lost(): void {
    for (const mailbox of this.#mailboxes.values()) mailbox.lost();
    this.people.lost();
    this.#outbox.lost();
  }

  #stopped(why: Refusal): void {
    this.#leavePage();
    this.#leaveUser();
    for (const mailbox of this.#mailboxes.values()) mailbox.end(why);
    this.people.end(why);
    this.#outbox.end(why);
    for (const wish of this.#nameless.splice(0)) wish.reject(why);
  }
}

function address(url: string | undefined): URL {
  const address = new URL(url ?? "/ws", typeof location === "undefined" ? undefined : location.href);
  address.protocol = address.protocol.replace(/^http/, "ws");
  return address;
}
