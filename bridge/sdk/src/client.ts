import { watchUser } from "./activity.ts";
import { addressOf } from "./address.ts";
import { Backoff, type BackoffOptions } from "./backoff.ts";
import { Channel, type EventMap, type Parsers } from "./channel.ts";
import { Connection, type Device, type State, type StateChange } from "./connection.ts";
import { Deferred, ended } from "./deferred.ts";
import type { Site } from "./history.ts";
import { createKey } from "./key.ts";
import type { Off } from "./listeners.ts";
import { Mailbox } from "./mailbox.ts";
import { Outbox, type Carrier, type OutboxOptions, type Receipt } from "./outbox.ts";
import { tabStorage, watchPage } from "./page.ts";
import { People } from "./people.ts";
import { Local, Refusal } from "./refusal.ts";
import { ResumeId } from "./resume.ts";
import { ownSocket, type SocketConstructor } from "./socket.ts";
import { TokenSource, type Token } from "./token.ts";
import { Typing, Typists } from "./typing.ts";
import type { Schedule, ServerFrame, SetStatus, WelcomeFrame } from "./wire.ts";

export interface ClientOptions extends Pick<OutboxOptions, "queue" | "queueBytes"> {
  /**
   * Where the server is, with its path if it stands under one: `https://example.com/realtime/`, or relative to the
   * page. Default: where this script came from, when a server served it, or else the root of the page's origin.
   */
  url?: string | URL;
  /** A token, or a function that gets a new one whenever one is needed. */
  token: Token;
  /** What this application is, for the server's statistics, such as "shop/2.1". */
  client?: string;
  /** Shows the user as being there with this. Without it only `track` shows them anywhere. */
  device?: Device;
  backoff?: BackoffOptions;
  /** The WebSocket to use where there is no global one. */
  WebSocket?: SocketConstructor;
}

/**
 * Creates a client, which connects at once and stays connected until `close()`. Throws a {@link Refusal} when it can
 * never connect: outside a browser without an option `url`, or without a WebSocket.
 */
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
  readonly #typists = new Map<string, Typists>();
  /** Resolved by the first welcome. */
  #welcomed = new Deferred<void>();
  #unreadable = 0;
  #leavePage: Off = () => {};
  #leaveUser: Off = () => {};

  constructor(options: ClientOptions) {
    const { socket, http } = addressOf(options.url);
    const client = options.client ?? "web";
    const tokens = new TokenSource(options.token);
    const Socket = options.WebSocket ?? ownSocket();
    if (!Socket) throw new Refusal(Local.invalid, "invalid", false, "there is no WebSocket here: pass one as the option WebSocket");
    this.#backoff = options.backoff ?? {};
    this.#site = { url: http, token: () => tokens.current() };
    this.#resume = new ResumeId(`${client}@${socket}`, tabStorage());
    this.#outbox = this.#openOutbox(options);
    this.#device = options.device;
    this.#connection = new Connection({
      client,
      device: options.device,
      tokens,
      resume: this.#resume,
      backoff: new Backoff(this.#backoff),
      dial: () => new Socket(socket, "latido.v1"),
      news: {
        ready: (welcome) => this.#ready(welcome),
        frame: (frame) => this.#receive(frame),
        unreadable: () => this.#unreadable++,
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

  /** Why there is no connection, in a code and a sentence; undefined while there is one. */
  get error(): Refusal | undefined {
    return this.#connection.trouble;
  }

  /** How many lines came that could not be read: not JSON, or of a newer protocol. */
  get unreadable(): number {
    return this.#unreadable;
  }

  /** Hears of every change of state, with its reason. */
  onState(handler: (change: StateChange) => void): Off {
    return this.#connection.changes.add(handler);
  }

  /**
   * A handle on the channel of this name, with handlers and a subscription of its own; all handles share what is on
   * the wire. Parsers check what is published and received through it.
   */
  channel<Events extends EventMap = EventMap>(name: string, parsers: Parsers<Events> = {}): Channel<Events> {
    let mailbox = this.#mailboxes.get(name);
    if (!mailbox) {
      mailbox = this.#openMailbox(name);
      this.#mailboxes.set(name, mailbox);
    }
    return new Channel(mailbox, this.#outbox, this.#site, parsers, new Typing(this.#typistsIn(mailbox)));
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
      online: () => this.#connection.online(),
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

  /** Commands our own channel, once the server has said who we are. */
  #own(command: string, data: unknown): Promise<Receipt> {
    const { over } = this.#connection;
    if (over) return ended(over);
    const receipt = new Deferred<Receipt>();
    this.#welcomed.promise
      .then(() => this.channel(`user:${this.me?.user}`).call(command, data))
      .then(receipt.resolve, (why: Error) => (why === this.#connection.over ? receipt.end(why) : receipt.reject(why)));
    return receipt.promise;
  }

  #typistsIn(mailbox: Mailbox): Typists {
    const { channel } = mailbox;
    let typists = this.#typists.get(channel);
    if (!typists) {
      const say = (typing: boolean) => {
        const request = { op: "publish", channel, event: "typing", key: createKey(), data: { typing } } as const;
        this.#outbox.add(request, true).catch(() => {}); // who is away is not seen to type
      };
      typists = new Typists(mailbox, () => this.me?.user, say);
      this.#typists.set(channel, typists);
    }
    return typists;
  }

  #openOutbox(options: ClientOptions): Outbox {
    const connection = () => this.#connection;
    const carrier: Carrier = {
      get over() {
        return connection().over;
      },
      request: (body, answered) => this.#connection.request(body, answered),
      catchingUp: (channel) => this.#mailboxes.get(channel)?.subscription.catchingUp ?? false,
      durable: (channel) => this.#mailboxes.get(channel)?.subscription.durable,
      isOpen: () => this.#connection.state === "connected" && !this.#connection.draining,
    };
    return new Outbox(carrier, options);
  }

  #openMailbox(name: string): Mailbox {
    const mailbox = new Mailbox(name, this.#connection, this.#backoff);
    mailbox.subscription.whole.add(() => this.#outbox.flush());
    return mailbox;
  }

  /** Subscriptions go first, so that the replay can say which doubtful publishes arrived. */
  #ready(welcome: WelcomeFrame): void {
    this.#welcomed.resolve();
    this.#outbox.restart(welcome.limits);
    for (const mailbox of this.#mailboxes.values()) mailbox.resume();
    this.people.resume();
    this.#outbox.flush();
  }

  #receive(frame: ServerFrame): void {
    if (!("channel" in frame)) return;
    // First of all, for the end of a replay has what is still doubtful sent again. Keys belong to their user:
    // another's may read the same.
    if (frame.op === "event" && frame.from === this.me?.user) this.#outbox.observe(frame);
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
    this.#welcomed.end(why);
    if (!this.me) this.#welcomed = new Deferred();
  }
}
