/**
 * A server behind a bad line, whose every mood a seed decides: what is sent takes its time, answers are refusals for
 * now, or never come although the thing was done, or is done later; connections break with whatever is on its way.
 * It runs on mocked timers, so that a minute of trouble costs milliseconds.
 */
import { codes } from "../src/wire.ts";
import type { ClientFrame } from "./fake_server.ts";

/** Numbers in [0, 1) that a seed decides. */
export function dice(seed: number): () => number {
  let state = (seed * 2654435761) % 2147483647 || 1;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

export interface Stored {
  channel: string;
  key: string;
  seq: number;
}

/** What a server may answer for now; some of it although the thing was done. */
const moods = [codes.rate_limited, codes.rate_limited, codes.busy, codes.unavailable, codes.timeout, codes.internal, codes.draining];

export class UnrulyServer {
  readonly log: Stored[] = [];
  readonly delivered: Stored[] = [];
  /** As long as it is so, things go wrong. */
  unruly = true;
  /** How often it refuses a subscription for good. */
  forbids = 0;
  readonly random: () => number;
  readonly #lines = new Set<UnrulyLine>();
  #seq = 0;

  constructor(seed: number) {
    this.random = dice(seed);
  }

  get options(): { url: string; token: string; WebSocket: typeof WebSocket } {
    const server = this;
    class Socket extends UnrulyLine {
      constructor() {
        super(server);
        server.#lines.add(this);
      }
    }
    return { url: "ws://server.test/", token: "t", WebSocket: Socket as unknown as typeof WebSocket };
  }

  happens(probability: number): boolean {
    return this.unruly && this.random() < probability;
  }

  /** Stores, unless the key is known; on a live channel it only hands on. */
  store(channel: string, key: string): number | undefined {
    if (channel.startsWith("app:")) {
      this.delivered.push({ channel, key, seq: 0 });
      return undefined;
    }
    const known = this.log.find((stored) => stored.channel === channel && stored.key === key);
    if (known) return known.seq;
    const stored = { channel, key, seq: ++this.#seq };
    this.log.push(stored);
    for (const line of this.#lines) line.event(stored);
    return stored.seq;
  }

  refusal(): number | undefined {
    return this.happens(0.15) ? moods[Math.floor(this.random() * moods.length)] : undefined;
  }

  break(): void {
    for (const line of this.#lines) line.cut();
  }

  /** What it knows of a channel on the links that live. */
  known(channel: string): { subscribed: boolean; metas: unknown[] } {
    const lines = [...this.#lines];
    return {
      subscribed: lines.some(({ channels }) => channels.has(channel)),
      metas: lines.flatMap(({ metas }) => (metas.has(channel) ? [metas.get(channel)] : [])),
    };
  }

  gone(line: UnrulyLine): void {
    this.#lines.delete(line);
  }
}

class UnrulyLine {
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  readonly #server: UnrulyServer;
  readonly channels = new Set<string>();
  /** What is shown of this client, by channel. */
  readonly metas = new Map<string, unknown>();
  #open = true;
  #up = 0;
  #down = 0;

  constructor(server: UnrulyServer) {
    this.#server = server;
    this.#later("up", () => this.onopen?.());
  }

  send(text: string): void {
    this.#later("up", () => this.#take(JSON.parse(text) as ClientFrame));
  }

  close(): void {
    this.#open = false;
    this.#server.gone(this);
  }

  cut(): void {
    if (!this.#open) return;
    this.close();
    setTimeout(() => this.onclose?.({ code: 1006, reason: "" }), this.#server.random() * 50);
  }

  event({ channel, key, seq }: Stored): void {
    if (this.channels.has(channel)) this.#tell({ op: "event", channel, event: "new_message", seq, from: "ana", key, data: {} });
  }

  /** In order, but nobody knows when. */
  #later(way: "up" | "down", act: () => void): void {
    const delay = 1 + this.#server.random() * (this.#server.happens(0.05) ? 400 : 20);
    const at = Math.max(way === "up" ? this.#up : this.#down, Date.now() + delay);
    if (way === "up") this.#up = at;
    else this.#down = at;
    setTimeout(() => this.#open && act(), at - Date.now());
  }

  #tell(frame: object): void {
    if (this.#server.happens(0.02)) return this.cut();
    this.#later("down", () => this.onmessage?.({ data: JSON.stringify(frame) }));
  }

  #take(frame: ClientFrame): void {
    if (this.#server.happens(0.02)) return this.cut();
    const { op, id, channel = "", key = "" } = frame;
    switch (op) {
      case "hello": {
        const limits = { frame: 65536, channels: 500, publishes: 20 };
        return this.#tell({ op: "welcome", session: "s", ref: "r", user: "ana", node: "b1", ping: 25, limits });
      }
      case "subscribe":
        return this.#subscribe(frame);
      case "unsubscribe":
        this.metas.delete(channel);
        if (this.channels.delete(channel)) return this.#tell({ op: "ok", id });
        return this.#tell({ op: "error", id, code: codes.not_subscribed, reason: "not_subscribed", retry: false });
      case "track":
        this.metas.set(channel, frame["meta"]);
        return this.#tell({ op: "ok", id });
      case "untrack":
        this.metas.delete(channel);
        return this.#tell({ op: "ok", id });
      case "publish":
      case "call":
        return this.#judge(Number(id), channel, key);
      default:
        this.#tell({ op: "ok", id });
    }
  }

  #judge(id: number, channel: string, key: string): void {
    if (key.startsWith("bad")) return this.#tell({ op: "error", id, code: codes.invalid_data, reason: "invalid_data", retry: false });
    const code = this.#server.refusal();
    if (code === undefined) {
      const seq = this.#server.store(channel, key);
      return this.#tell({ op: "ok", id, ...(seq !== undefined && { seq }) });
    }
    const done = [codes.timeout, codes.internal].includes(code as 4502) && this.#server.random() < 0.6;
    // Perhaps only after the answer; but what is not stored is handed on at once or never.
    if (done && (channel.startsWith("app:") || this.#server.random() < 0.5)) this.#server.store(channel, key);
    else if (done) setTimeout(() => this.#server.store(channel, key), this.#server.random() * 300);
    this.#tell({ op: "error", id, code, reason: "later", retry: true });
  }

  #subscribe({ id, channel = "", since }: ClientFrame): void {
    if (this.#server.happens(0.1)) return this.#tell({ op: "error", id, code: codes.busy, reason: "busy", retry: true });
    if (this.#server.happens(this.#server.forbids)) return this.#tell({ op: "error", id, code: codes.forbidden, reason: "forbidden", retry: false });
    this.channels.add(channel);
    if (channel.startsWith("app:")) return this.#tell({ op: "ok", id });
    const stored = this.#server.log.filter((one) => one.channel === channel);
    const position = { epoch: "e", seq: stored.at(-1)?.seq ?? 0 };
    const missed = since === undefined ? undefined : stored.filter(({ seq }) => seq > (since as { seq: number }).seq);
    this.#tell({ op: "ok", id, position, ...(missed && { replaying: missed.length }) });
    for (const one of missed ?? []) this.event(one);
  }
}
