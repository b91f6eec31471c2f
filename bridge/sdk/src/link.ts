import { Local } from "./refusal.ts";
import type { ErrorFrame, HelloFrame, OkFrame, ServerFrame, WelcomeFrame } from "./wire.ts";

export type Answer = OkFrame | ErrorFrame;

export interface LinkNews {
  welcome(frame: WelcomeFrame): void;
  frame(frame: ServerFrame): void;
  /** The link is over. Told once; requests without an answer will never get one. */
  closed(code: number, reason: string): void;
}

/** From dialling to welcome; a network that swallows packets would otherwise hold us for minutes. */
const handshake = 10_000;

/** How much longer than its own ping interval the server may be silent. */
const grace = 10_000;

/**
 * One WebSocket from dialling to death, never used again. Answers reach their callbacks synchronously and in
 * wire order, which matters: the frames behind an `ok` in the same message rely on it.
 */
export class Link {
  readonly #socket: WebSocket;
  readonly #news: LinkNews;
  readonly #answers = new Map<number, (answer: Answer) => void>();
  #lastId = 0;
  #heard = Date.now();
  #patience = handshake;
  #alarm: ReturnType<typeof setTimeout>;
  #over = false;

  constructor(socket: WebSocket, hello: HelloFrame, news: LinkNews) {
    this.#socket = socket;
    this.#news = news;
    this.#alarm = setTimeout(this.#listen, handshake);
    socket.onopen = () => socket.send(JSON.stringify(hello));
    socket.onmessage = (message) => this.#read(message.data);
    socket.onclose = (event) => this.#end(event.code, event.reason);
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

  /** Ends the link when the server has been silent for too long, which a sleeping device only notices on waking. */
  check(): void {
    if (Date.now() - this.#heard >= this.#patience) this.drop(Local.silent, "silent");
  }

  readonly #listen = (): void => {
    this.check();
    if (this.#over) return;
    this.#alarm = setTimeout(this.#listen, this.#heard + this.#patience - Date.now());
  };

  #read(data: unknown): void {
    if (typeof data !== "string") return;
    this.#heard = Date.now();
    for (const line of data.split("\n")) {
      if (this.#over) return;
      if (line !== "") this.#take(JSON.parse(line) as ServerFrame);
    }
  }

  #take(frame: ServerFrame): void {
    switch (frame.op) {
      case "ping":
        this.#socket.send('{"op":"pong"}');
        return;
      case "welcome":
        this.#patience = frame.ping * 1000 + grace;
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
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#answers.clear();
    this.#news.closed(code, reason);
  }
}
