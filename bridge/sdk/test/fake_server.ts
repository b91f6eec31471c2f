/**
 * A server that lives in the test and says only what the test tells it to.
 *
 *   const server = new FakeServer();
 *   const client = createClient({ ...server.options });
 *   const line = await server.accept();          // a dialled socket
 *   line.welcome();                              // after its hello
 *   const request = await line.next("subscribe") // the next frame, which must be a subscribe
 *   line.ok(request, { position });
 *
 * To script something new, add a method to FakeLine that sends the frame and nothing else.
 */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";

export interface ClientFrame {
  op: string;
  id?: number;
  channel?: string;
  key?: string;
  [field: string]: unknown;
}

export class FakeServer {
  readonly #dialled: FakeLine[] = [];
  /** How often anybody has dialled. */
  dials = 0;

  get options(): { url: string; token: string; client: string; WebSocket: typeof WebSocket } {
    const dialled = (line: FakeLine): void => {
      this.dials++;
      this.#dialled.push(line);
    };
    class Socket extends FakeLine {
      constructor() {
        super();
        dialled(this);
      }
    }
    const Stub = Socket as unknown as typeof WebSocket;
    return { url: "ws://server.test/ws", token: "secret", client: "test/1", WebSocket: Stub };
  }

  /** The next dialled socket, opened. */
  async accept(): Promise<FakeLine> {
    const line = await soon(() => this.#dialled.shift(), "a dial");
    line.onopen?.();
    return line;
  }

  /** Accepts, and answers the hello. */
  async welcome(fields: Record<string, unknown> = {}): Promise<FakeLine> {
    const line = await this.accept();
    line.hello = await line.next("hello");
    line.welcome(fields);
    return line;
  }
}

/** The server's end of one WebSocket, and, to the client, the WebSocket itself. */
export class FakeLine {
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  hello: ClientFrame | undefined;
  /** The code with which the client closed. */
  closedWith: number | undefined;
  readonly #received: ClientFrame[] = [];

  /** Called by the client. */
  send(text: string): void {
    this.#received.push(JSON.parse(text) as ClientFrame);
  }

  /** Called by the client. */
  close(code: number): void {
    this.closedWith = code;
  }

  async next(op: string): Promise<ClientFrame> {
    const frame = await soon(() => this.#received.shift(), op);
    assert.equal(frame.op, op, JSON.stringify(frame));
    return frame;
  }

  /** What has come and was not asked for, by operation. */
  async idle(): Promise<string[]> {
    await settle();
    return this.#received.map((frame) => frame.op);
  }

  tell(...frames: object[]): void {
    this.onmessage?.({ data: frames.map((frame) => JSON.stringify(frame)).join("\n") });
  }

  welcome(fields: Record<string, unknown> = {}): void {
    const limits = { frame: 65536, channels: 500, publishes: 50 };
    this.tell({ op: "welcome", session: "s1", ref: "r1", user: "ana", node: "b1", ping: 25, limits, ...fields });
  }

  ok(request: ClientFrame, fields: Record<string, unknown> = {}): void {
    this.tell({ op: "ok", id: request.id, ...fields });
  }

  refuse(request: ClientFrame, code: number, reason: string): void {
    this.tell({ op: "error", id: request.id, code, reason, retry: code >= 4500 });
  }

  /** The connection breaks, as the client's side sees it. */
  break(code = 1006, reason = ""): void {
    this.onclose?.({ code, reason });
  }
}

/** Lets everything that is ready happen. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await setImmediate();
}

async function soon<T>(look: () => T | undefined, what: string): Promise<T> {
  for (let turn = 0; turn < 50; turn++) {
    const found = look();
    if (found !== undefined) return found;
    await setImmediate();
  }
  throw new Error(`the client owes ${what}`);
}
