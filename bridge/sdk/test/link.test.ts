import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { createClient } from "../src/index.ts";
import { FakeServer } from "./fake_server.ts";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
});

const backoff = { base: 1_000, random: () => 0.5 };
const event = (n: number) => JSON.stringify({ op: "event", channel: "app:x", event: "moved", data: n });

test("a line that cannot be read is counted, and the rest is read", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const channel = client.channel("app:x");
  const seen: unknown[] = [];
  channel.on("moved", ({ data }) => seen.push(data));
  void channel.subscribe();
  const line = await server.welcome();
  line.ok(await line.next("subscribe"));
  const broken = ['{"op":"event","chan', "", "null", "7", '{"op":"fireworks","channel":"app:x"}', "[]", '{"channel":"app:x"}'];
  for (const [n, text] of broken.entries()) line.onmessage?.({ data: [event(2 * n), text, event(2 * n + 1)].join("\n") });
  line.onmessage?.({ data: new ArrayBuffer(3) as unknown as string });
  assert.deepEqual(seen, broken.flatMap((_, n) => [2 * n, 2 * n + 1]));
  assert.equal(client.unreadable, broken.length, "an empty line is none");
});

test("a frame that lacks what it promises costs nobody the next one", async (t) => {
  t.mock.method(console, "error", () => {});
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const channel = client.channel("app:x");
  const seen: unknown[] = [];
  channel.on("*", ({ data }) => seen.push(data));
  void channel.subscribe({ presence: true });
  const line = await server.welcome();
  line.ok(await line.next("subscribe"));
  const hollow = ['{"op":"presence","channel":"app:x","state":7}', '{"op":"gap","channel":"app:x"}'];
  line.onmessage?.({ data: [...hollow, event(1)].join("\n") });
  assert.deepEqual(seen, [1]);
  assert.equal(client.unreadable, 2);
  assert.equal(client.state, "connected");
});

test("bytes that a backend published arrive as bytes", async () => {
  const server = new FakeServer();
  const channel = createClient({ ...server.options, backoff }).channel<{ moved: Uint8Array }>("app:x");
  const seen: unknown[] = [];
  channel.on("moved", (event) => seen.push(event.data, "encoding" in event));
  void channel.subscribe();
  const line = await server.welcome();
  line.ok(await line.next("subscribe"));
  line.tell({ op: "event", channel: "app:x", event: "moved", encoding: "base64", data: Buffer.from([0, 255, 10]).toString("base64") });
  assert.deepEqual(seen, [Uint8Array.of(0, 255, 10), false]);
});

test("what a notice has more than we know is no trouble", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const room = client.channel("room:1");
  const subscribed = room.subscribe();
  const line = await server.welcome({ news: { of: "tomorrow" } });
  line.ok(await line.next("subscribe"), { position: { epoch: "e", seq: 1 }, more: [1] });
  assert.equal((await subscribed)?.seq, 1);
  line.tell({ op: "degraded", since: 7 });
  assert.equal(client.state, "degraded");
  assert.equal(client.unreadable, 0);
});

test("a server whose ping is late is asked, and believed when it answers", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const line = await server.welcome({ ping: 25 });
  mock.timers.tick(27_999);
  assert.deepEqual(await line.idle(), []);
  mock.timers.tick(1);
  line.ok(await line.next("probe"));
  mock.timers.tick(28_000);
  assert.equal(client.state, "connected");
  await line.next("probe");
  mock.timers.tick(6_999);
  assert.equal(client.state, "connected");
  mock.timers.tick(1);
  assert.equal(client.state, "connecting", "ping and ten seconds after the last word");
});

test("pings are answered although no timer runs", async () => {
  const server = new FakeServer();
  createClient({ ...server.options, backoff });
  const line = await server.welcome({ ping: 25 });
  for (let asked = 0; asked < 5; asked++) {
    mock.timers.reset(); // as in a hidden page, where they hardly run
    line.tell({ op: "ping" });
    await line.next("pong");
  }
});
