import { report } from "./listeners.ts";
import { Local } from "./refusal.ts";
import type { Socket } from "./socket.ts";
import type { ErrorFrame, HelloFrame, OkFrame, ServerFrame, WelcomeFrame } from "./wire.ts";

export type Answer = OkFrame | ErrorFrame;

export interface LinkNews {
  welcome(frame: WelcomeFrame): void;
  frame(frame: ServerFrame): void;
  /** Something came that cannot be read; what comes behind it is read all the same. */
  unreadable(): void;
  /** The link is over. Told once; requests without an answer will never get one. */
  closed(code: number, reason: string): void;
}

/** From dialling to welcome; a network that swallows packets would otherwise hold us for minutes. */
const handshake = 10_000;

/** How much longer than its own ping interval the server may be silent. */
const grace = 10_000;

/** How long it has to answer when we ask it, as we do when its own ping is late. */
const answerTime = 7_000;

/** The same when there is a reason to doubt: the page was asleep, or the network was another. */
const quickAnswer = 4_000;

const known: ReadonlySet<string> = new Set<ServerFrame["op"]>([
  "welcome", "ok", "error", "event", "presence", "gap", "unsubscribed", "degraded", "restored", "drain", "ping",
]);

/**
 * One WebSocket from dialling to death, never used again. Answers reach their callbacks synchronously and in
 * wire order, which matters: the frames behind an `ok` in the same message rely on it.
 */
export class Link {
  readonly #socket: Socket;
  readonly #news: LinkNews;
  readonly #answers = new Map<number, (answer: Answer) => void>();
  #lastId = 0;
  #heard = Date.now();
  #patience = handshake;
  /** When it counts as dead unless something is heard before. */
  #deadline = this.#heard + handshake;
  /** Whether it was asked if it is there; before the welcome nobody may. */
  #asked = true;
  #alarm: ReturnType<typeof setTimeout>;
  #over = false;

  constructor(socket: Socket, hello: HelloFrame, news: LinkNews) {
    this.#socket = socket;
    this.#news = news;
    this.#alarm = setTimeout(this.#listen, handshake);
    socket.onopen = () => socket.send(JSON.stringify(hello));
    socket.onmessage = (message: { data: unknown }) => this.#read(message.data);
    socket.onclose = (event: { code: number; reason: string }) => this.#end(event.code, event.reason);
    // A close follows and says what there is to say; but a WebSocket of Node's ends the process when nobody listens.
    socket.onerror = () => {};
  }

  /** Sends a request, given as JSON without its id; `answered` is called at most once. */
  request(body: string, answered: (answer: Answer) => void): void {
    const id = ++this.#lastId;
    this.#answers.set(id, answered);
    this.#socket.send(`{"id":${id},${body.slice(1)}`);
  }

  /** Sends what has no answer. */
  tell(body: string): void {
    this.#socket.send(body);
  }

  /**
   * Ends the link from our side. A dead network never confirms a close, so nobody waits for that. Only 1000
   * says goodbye to the server; with any other code we mean to return and our members stay.
   */
  drop(code: number, reason: string): void {
    this.#socket.close(code === Local.closed ? 1000 : code);
    this.#end(code, reason);
  }

  /** There is a reason to doubt the link: it has to prove itself soon. */
  probe(): void {
    if (this.#deadline <= Date.now()) return this.drop(Local.silent, "silent");
    if (this.#patience === handshake) return;
    this.#ask(quickAnswer);
    clearTimeout(this.#alarm);
    this.#listen();
  }

  /** Timers of a hidden page come late, so time is read here and not counted; pings are answered without one. */
  readonly #listen = (): void => {
    const now = Date.now();
    if (now >= this.#deadline) return this.drop(Local.silent, "silent");
    const askAt = this.#deadline - answerTime;
    if (!this.#asked && now >= askAt) this.#ask(answerTime);
    this.#alarm = setTimeout(this.#listen, (this.#asked ? this.#deadline : askAt) - now);
  };

  #ask(within: number): void {
    this.#asked = true;
    this.#deadline = Math.min(this.#deadline, Date.now() + within);
    this.request('{"op":"probe"}', () => {});
  }

  #read(data: unknown): void {
    this.#heard = Date.now();
    this.#deadline = this.#heard + this.#patience;
    this.#asked = this.#patience === handshake;
    if (typeof data !== "string") return this.#news.unreadable();
    for (const line of data.split("\n")) {
      if (this.#over) return;
      if (line === "") continue;
      const frame = parse(line);
      if (frame) this.#try(frame);
      else this.#news.unreadable();
    }
  }

  /** A frame that lacks what its operation promises costs nobody the next one. */
  #try(frame: ServerFrame): void {
    try {
      this.#take(frame);
    } catch (error) {
      this.#news.unreadable();
      report(error);
    }
  }

  #take(frame: ServerFrame): void {
    switch (frame.op) {
      case "ping":
        this.#socket.send('{"op":"pong"}');
        return;
      case "welcome":
        this.#patience = frame.ping * 1000 + grace;
        this.#deadline = this.#heard + this.#patience;
        this.#asked = false;
        clearTimeout(this.#alarm);
        this.#listen();
        this.#news.welcome(frame);
        return;
      case "ok":
      case "error":
        if (frame.id === undefined) break;
        this.#answers.get(frame.id)?.(frame);
        this.#answers.delete(frame.id);
        return;
    }
    this.#news.frame(frame);
  }

  #end(code: number, reason: string): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#alarm);
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null; // and onerror stays
    this.#answers.clear();
    this.#news.closed(code, reason);
  }
}

function parse(line: string): ServerFrame | undefined {
  try {
    const frame: unknown = JSON.parse(line);
    if (typeof frame === "object" && frame !== null && "op" in frame && known.has(String(frame.op))) return frame as ServerFrame;
  } catch {
    // Told as unreadable.
  }
  return undefined;
}
