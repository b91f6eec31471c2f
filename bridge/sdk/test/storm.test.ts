/**
 * Two clients and a server that cuts connections at the worst moments: before a publish is stored, between
 * storing and acknowledging, in the middle of a replay. The server remembers no keys at all, so only the
 * client's own reconciliation keeps a message from being stored twice.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "../src/index.ts";
import type { EventFrame, OkFrame, ServerFrame } from "../src/wire.ts";
import type { ClientFrame } from "./fake_server.ts";

const messages = 200;

for (const seed of [1, 2, 3, 4, 5]) {
  test(`every message is stored once and seen once, in order (seed ${seed})`, { timeout: 300_000 }, async () => {
    const server = new CuttingServer(seed);
    const options = { ...server.options, token: "t", backoff: { base: 2, cap: 4 } };
    const writer = createClient({ ...options, client: "writer" });
    const reader = createClient({ ...options, client: "reader" });
    const seen: unknown[] = [];
    reader.channel("room:1").on("new_message", ({ data }) => seen.push(data));
    await Promise.all([reader.channel("room:1").subscribe(), writer.channel("room:1").subscribe()]);

    const published: Promise<{ seq?: number }>[] = [];
    for (let n = 0; n < messages; n++) {
      published.push(writer.channel("room:1").publish("new_message", n));
      if (n % 10 === 0) await pause(1);
    }
    const receipts = await Promise.all(published);
    server.cutting = false;
    while (seen.length < messages) await pause(1);

    const sent = Array.from({ length: messages }, (_, n) => n);
    assert.deepEqual(server.log.map(({ data }) => data).sort((one, other) => Number(one) - Number(other)), sent);
    assert.deepEqual(seen, server.log.map(({ data }) => data));
    assert.deepEqual(receipts.map(({ seq }) => server.log.find((event) => event.seq === seq)?.data), sent);
    assert.ok(server.cuts > 10, `${server.cuts} cuts`);
    writer.close();
    reader.close();
  });
}

class CuttingServer {
  readonly log: EventFrame[] = [];
  readonly lines = new Set<CuttingLine>();
  cutting = true;
  cuts = 0;
  #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  get options(): { url: string; WebSocket: typeof WebSocket } {
    const server = this;
    class Socket extends CuttingLine {
      constructor() {
        super(server);
      }
    }
    return { url: "ws://server.test/ws", WebSocket: Socket as unknown as typeof WebSocket };
  }

  /** True once in so many times, in an order that the seed decides. */
  strikes(once: number): boolean {
    this.#seed = (this.#seed * 48271) % 2147483647;
    return this.cutting && this.#seed % once === 0;
  }

  store(frame: ClientFrame, from: string): number {
    const seq = (this.log.at(-1)?.seq ?? 0) + 1 + (this.log.length % 3);
    const event: EventFrame = { op: "event", channel: "room:1", event: "new_message", seq, from, key: String(frame.key), data: frame["data"] };
    this.log.push(event);
    for (const line of this.lines) if (line.subscribed) line.tell(event);
    return seq;
  }
}

class CuttingLine {
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  subscribed = false;
  readonly #server: CuttingServer;
  #user = "";

  constructor(server: CuttingServer) {
    this.#server = server;
    server.lines.add(this);
    setImmediate(() => this.onopen?.());
  }

  close(): void {
    this.#server.lines.delete(this);
  }

  send(text: string): void {
    setImmediate(() => this.#server.lines.has(this) && this.#take(JSON.parse(text) as ClientFrame));
  }

  tell(frame: ServerFrame): void {
    if (!this.#server.lines.has(this)) return;
    if (this.#server.strikes(23)) this.#cut();
    else this.onmessage?.({ data: JSON.stringify(frame) });
  }

  #cut(): void {
    this.#server.cuts++;
    this.#server.lines.delete(this);
    setImmediate(() => this.onclose?.({ code: 1006, reason: "" }));
  }

  #take(frame: ClientFrame): void {
    if (frame.op === "hello") {
      this.#user = String(frame["client"]);
      const limits = { frame: 65536, channels: 500, publishes: 100_000 };
      this.tell({ op: "welcome", session: this.#user, ref: this.#user, user: this.#user, node: "b1", generation: 1, ping: 25, limits });
    } else if (frame.op === "subscribe") {
      this.#subscribe(frame);
    } else if (frame.op === "publish") {
      if (this.#server.strikes(11)) return this.#cut();
      const seq = this.#server.store(frame, this.#user);
      this.tell(this.#ok(frame, { seq }));
    }
  }

  #subscribe(frame: ClientFrame): void {
    const since = (frame["since"] as { seq: number } | undefined)?.seq;
    const missed = since === undefined ? [] : this.#server.log.filter((event) => (event.seq ?? 0) > since);
    const position = { epoch: "e1", seq: this.#server.log.at(-1)?.seq ?? 0 };
    this.tell(this.#ok(frame, { position, replaying: missed.length }));
    for (const event of missed) this.tell(event);
    this.subscribed = true;
  }

  #ok(frame: ClientFrame, fields: Partial<OkFrame>): OkFrame {
    return { op: "ok", id: Number(frame.id), ...fields };
  }
}
