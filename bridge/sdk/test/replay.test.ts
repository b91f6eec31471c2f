import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { createClient, type Channel, type ChannelEvent } from "../src/index.ts";
import { FakeServer, settle, type FakeLine } from "./fake_server.ts";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
});

const backoff = { random: () => 0 };
const at = (seq: number, epoch = "e1") => ({ epoch, seq });
const message = (seq: number) => ({ op: "event", channel: "room:1", event: "new_message", seq, from: "luis", data: { n: seq } });

function listen(channel: Channel): number[] {
  const seen: number[] = [];
  channel.on("new_message", ({ seq }) => seen.push(seq ?? -1));
  return seen;
}

async function back(server: FakeServer): Promise<FakeLine> {
  mock.timers.tick(0);
  return server.welcome();
}

test("subscribes, and hears what happens and what is asked for", async () => {
  const server = new FakeServer();
  const room = createClient({ ...server.options, backoff }).channel("room:1");
  const all: ChannelEvent[] = [];
  room.on("*", (event) => all.push(event));
  const subscribed = room.subscribe({ last: 2, presence: true });
  const line = await server.welcome();
  const request = await line.next("subscribe");
  assert.deepEqual(request, { id: 1, op: "subscribe", channel: "room:1", last: 2, presence: true });
  line.ok(request, { position: at(9), replaying: 2 });
  assert.deepEqual(await subscribed, at(9));
  line.tell(message(4), message(9), message(12), { op: "event", channel: "room:1", event: "typing", from: "luis", data: {} });
  assert.deepEqual(all.map(({ event, seq, replayed }) => [event, seq, replayed]), [
    ["new_message", 4, true],
    ["new_message", 9, true],
    ["new_message", 12, false],
    ["typing", undefined, false],
  ]);
  assert.deepEqual(room.position, at(12));
});

test("returns to its own position and lets nothing pass twice", async () => {
  const server = new FakeServer();
  const room = createClient({ ...server.options, backoff }).channel("room:1");
  const seen = listen(room);
  void room.subscribe();
  const line = await server.welcome();
  line.ok(await line.next("subscribe"), { position: at(5), replaying: 0 });
  line.tell(message(6), { ...message(8), at: "2026-01-01T00:00:00Z" });
  line.break();
  assert.equal(room.state, "subscribing");
  const second = await back(server);
  const request = await second.next("subscribe");
  assert.deepEqual(request["since"], { ...at(8), at: "2026-01-01T00:00:00Z" }, "with the time that proves it");
  second.ok(request, { position: at(10), replaying: 2 });
  second.tell(message(8), message(9), message(10), message(10), message(11));
  assert.deepEqual(seen, [6, 8, 9, 10, 11]);
});

test("a replay that breaks off goes on where it broke", async () => {
  const server = new FakeServer();
  const room = createClient({ ...server.options, backoff }).channel("room:1");
  const seen = listen(room);
  void room.subscribe({ last: 50 });
  const first = await server.welcome();
  first.ok(await first.next("subscribe"), { position: at(9), replaying: 3 });
  first.break();
  const second = await back(server);
  const again = await second.next("subscribe");
  assert.equal(again["last"], 50, "nothing has come: the same question");
  assert.equal(again["since"], undefined);
  second.ok(again, { position: at(9), replaying: 3 });
  second.tell(message(3));
  second.break();
  const third = await back(server);
  const rest = await third.next("subscribe");
  assert.deepEqual(rest["since"], at(3));
  third.ok(rest, { position: at(9), replaying: 2 });
  third.tell(message(7), message(9));
  assert.deepEqual(seen, [3, 7, 9]);
});

test("a second drop without traffic between repeats nothing", async () => {
  const server = new FakeServer();
  const room = createClient({ ...server.options, backoff }).channel("room:1");
  void room.subscribe();
  let line = await server.welcome();
  line.ok(await line.next("subscribe"), { position: at(5), replaying: 0 });
  for (let drop = 0; drop < 3; drop++) {
    line.break();
    line = await back(server);
    const request = await line.next("subscribe");
    assert.deepEqual(request["since"], at(5));
    line.ok(request, { position: at(5), replaying: 0 });
  }
});

test("numbers of a new epoch are not compared with those of the old", async () => {
  const server = new FakeServer();
  const room = createClient({ ...server.options, backoff }).channel("room:1");
  const seen = listen(room);
  const gaps: unknown[] = [];
  room.onGap(({ from, to, position }) => gaps.push([from, to, position]));
  void room.subscribe({ since: at(700) });
  const line = await server.welcome();
  const request = await line.next("subscribe");
  assert.deepEqual(request["since"], at(700));
  line.ok(request, { position: at(3, "e2"), replaying: 2 });
  line.tell({ op: "gap", channel: "room:1", from: 701, to: 701, position: at(0, "e2") }, message(2), message(3));
  assert.deepEqual(seen, [2, 3]);
  assert.deepEqual(gaps, [[701, 701, at(0, "e2")]]);
  assert.deepEqual(room.position, at(3, "e2"));
});

test("a refused subscription says why; a passing reason is tried again", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff: { base: 1_000, random: () => 0.5 } });
  const room = client.channel("room:1");
  const subscribed = room.subscribe();
  const line = await server.welcome();
  line.refuse(await line.next("subscribe"), 4501, "unavailable");
  mock.timers.tick(500);
  line.refuse(await line.next("subscribe"), 4030, "forbidden");
  await assert.rejects(subscribed, { code: 4030, reason: "forbidden" });
  assert.equal(room.state, "unsubscribed");
});

test("a recovered bus ends the waiting", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff: { base: 60_000, random: () => 0.9 } });
  void client.channel("room:1").subscribe();
  const line = await server.welcome();
  line.tell({ op: "degraded" });
  line.refuse(await line.next("subscribe"), 4501, "unavailable");
  line.tell({ op: "restored" });
  line.ok(await line.next("subscribe"), { position: at(1) });
});

test("a revoked subscription ends, and events that were on their way are not shown", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const room = client.channel("room:1");
  const seen = listen(room);
  const states: unknown[] = [];
  void room.subscribe();
  const line = await server.welcome();
  line.ok(await line.next("subscribe"), { position: at(5) });
  room.onState(({ state, code, reason }) => states.push([state, code, reason]));
  line.tell({ op: "unsubscribed", channel: "room:1", code: 4031, reason: "revoked" }, message(6));
  assert.deepEqual(states, [["unsubscribed", 4031, "revoked"]]);
  assert.deepEqual(seen, []);
  line.break();
  const second = await back(server);
  assert.deepEqual(await second.idle(), []);
});

test("leaving and coming back at once waits for the leaving", async () => {
  const server = new FakeServer();
  const room = createClient({ ...server.options, backoff }).channel("room:1");
  const seen = listen(room);
  void room.subscribe();
  const line = await server.welcome();
  line.ok(await line.next("subscribe"), { position: at(5) });
  const left = room.unsubscribe();
  const subscribed = room.subscribe({ last: 1 });
  const unsubscribe = await line.next("unsubscribe");
  assert.deepEqual(await line.idle(), []);
  line.tell(message(6));
  line.ok(unsubscribe);
  await left;
  line.ok(await line.next("subscribe"), { position: at(6), replaying: 1 });
  line.tell(message(6));
  await subscribed;
  assert.deepEqual(seen, [6]);
});

test("parsers give events their type and keep back what does not fit", async (t) => {
  const reported = t.mock.method(console, "error", () => {});
  const server = new FakeServer();
  const room = createClient({ ...server.options, backoff }).channel<{ new_message: { text: string } }>("room:1", {
    new_message: (data) => {
      if (typeof data === "object" && data !== null && "text" in data && typeof data.text === "string") return { text: data.text };
      throw new Error("text is missing");
    },
  });
  const texts: string[] = [];
  room.on("new_message", ({ data }) => texts.push(data.text));
  void room.subscribe();
  const line = await server.welcome();
  line.ok(await line.next("subscribe"), { position: at(1) });
  line.tell(message(2), { ...message(3), data: { text: "hi" } });
  assert.deepEqual(texts, ["hi"]);
  assert.equal(reported.mock.callCount(), 1);
  assert.deepEqual(room.position, at(3), "it was seen, if not understood");
  await assert.rejects(room.publish("new_message", {}), { code: 3904, message: "text is missing" });
  await settle();
});
