import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { createClient } from "../src/index.ts";
import { FakeServer, settle, type FakeLine } from "./fake_server.ts";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
});

const backoff = { base: 1_000, random: () => 0.5 };
const at = (seq: number) => ({ epoch: "e1", seq });

async function back(server: FakeServer): Promise<FakeLine> {
  mock.timers.tick(20_000);
  return server.welcome();
}

test("a publish resolves with the number under which it is stored", async () => {
  const server = new FakeServer();
  const client = createClient(server.options);
  const published = client.channel("room:1").publish("new_message", { text: "hi" }, { key: "k1" });
  assert.equal(client.pending, 1);
  const line = await server.welcome();
  const request = await line.next("publish");
  assert.deepEqual(request, { id: 1, op: "publish", channel: "room:1", event: "new_message", key: "k1", data: { text: "hi" } });
  line.ok(request, { seq: 22 });
  assert.deepEqual(await published, { seq: 22 });
  assert.equal(client.pending, 0);
});

test("a call resolves with its data and rejects with the owner's refusal", async () => {
  const server = new FakeServer();
  const ops = createClient(server.options).channel("ops:r1");
  const accepted = ops.call("accept");
  const late = ops.call("accept");
  const line = await server.welcome();
  line.ok(await line.next("call"), { seq: 3, data: { room: "r" } });
  line.refuse(await line.next("call"), 4091, "taken");
  assert.deepEqual(await accepted, { seq: 3, data: { room: "r" } });
  await assert.rejects(late, { code: 4091, reason: "taken", retry: false });
});

test("after a drop the replay settles what arrived, and only the rest is sent again under its key", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const room = client.channel("room:1");
  const shown: unknown[] = [];
  room.on("new_message", ({ key }) => shown.push(key));
  void room.subscribe();
  const line = await server.welcome();
  line.ok(await line.next("subscribe"), { position: at(5) });
  const one = room.publish("new_message", { text: "one" }, { key: "k1" });
  const two = room.publish("new_message", { text: "two" }, { key: "k2" });
  await line.next("publish");
  await line.next("publish");
  line.break();
  const three = room.publish("new_message", { text: "three" }, { key: "k3" });

  const second = await back(server);
  const subscribe = await second.next("subscribe");
  assert.deepEqual(await second.idle(), [], "nothing is sent before the replay");
  second.ok(subscribe, { position: at(7), replaying: 2 });
  second.tell(event(6, "luis", "k2"), event(7, "ana", "k1"));
  assert.deepEqual(await one, { seq: 7 });
  const resent = await second.next("publish");
  assert.equal(resent.key, "k2", "luis's key reads the same and is not ours");
  const fresh = await second.next("publish");
  assert.equal(fresh.key, "k3");
  second.ok(resent, { seq: 8 });
  second.ok(fresh, { seq: 9 });
  assert.deepEqual([await two, await three], [{ seq: 8 }, { seq: 9 }]);
  assert.deepEqual(shown, ["k2", "k1"]);
});

test("an event of ours that was seen before the drop settles its publish without a replay", async () => {
  const server = new FakeServer();
  const room = createClient({ ...server.options, backoff }).channel("room:1");
  void room.subscribe();
  const line = await server.welcome();
  line.ok(await line.next("subscribe"), { position: at(5) });
  const published = room.publish("new_message", { text: "hi" }, { key: "k1" });
  await line.next("publish");
  line.tell(event(6, "ana", "k1"));
  line.break();
  assert.deepEqual(await published, { seq: 6 });
});

test("on a channel that is not subscribed the same key is sent again", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const data = { text: "then" };
  const published = client.channel("room:2").publish("new_message", data, { key: "k1" });
  const line = await server.welcome();
  await line.next("publish");
  data.text = "now";
  line.break();
  const second = await back(server);
  const resent = await second.next("publish");
  assert.deepEqual([resent.key, resent["data"]], ["k1", { text: "then" }]);
  second.ok(resent, { seq: 1 });
  await published;
});

test("on a live channel what may have arrived is not sent again", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const channel = client.channel("app:cursors");
  void channel.subscribe();
  const line = await server.welcome();
  line.ok(await line.next("subscribe"));
  const sent = channel.publish("move", { x: 1 });
  await line.next("publish");
  line.break();
  const kept = channel.publish("move", { x: 2 });
  await assert.rejects(sent, { code: 3902, reason: "unconfirmed" });
  const second = await back(server);
  await second.next("subscribe");
  const move = await second.next("publish");
  assert.deepEqual(move["data"], { x: 2 });
  second.ok(move);
  await kept;
});

test("a volatile publish is not kept", async () => {
  const server = new FakeServer();
  const channel = createClient({ ...server.options, backoff }).channel("room:1");
  await assert.rejects(channel.publish("typing", {}, { volatile: true }), { code: 3903, reason: "offline" });
  const line = await server.welcome();
  const sent = channel.publish("typing", {}, { volatile: true });
  await line.next("publish");
  line.break();
  await assert.rejects(sent, { code: 3902 });
});

test("a full queue refuses clearly", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, queue: 2 });
  const room = client.channel("room:1");
  void room.publish("new_message", { n: 1 });
  void room.publish("new_message", { n: 2 });
  await assert.rejects(room.publish("new_message", { n: 3 }), { code: 3901, reason: "full", retry: true });
  assert.equal(client.pending, 2);
});

test("a passing refusal is tried again, in order, and not for ever", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const room = client.channel("room:1");
  const first = room.publish("new_message", { n: 1 }, { key: "k1" });
  const line = await server.welcome({ ping: 3_600 });
  line.refuse(await line.next("publish"), 4501, "unavailable");
  void room.publish("new_message", { n: 2 }, { key: "k2" }).catch(() => {});
  assert.deepEqual(await line.idle(), [], "the second does not overtake the first");
  mock.timers.tick(500);
  const again = await line.next("publish");
  assert.equal(again.key, "k1");
  mock.timers.tick(30_000);
  line.refuse(again, 4501, "unavailable");
  await assert.rejects(first, { code: 4501, retry: true });
});

test("nothing is sent while the bus is away or the server drains", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const room = client.channel("room:1");
  const line = await server.welcome();
  line.tell({ op: "degraded" });
  const published = room.publish("new_message", {}, { key: "k1" });
  assert.deepEqual(await line.idle(), []);
  line.tell({ op: "restored" });
  line.ok(await line.next("publish"), { seq: 1 });
  await published;
  line.tell({ op: "drain", return_in: 100 });
  void room.publish("new_message", {}, { key: "k2" });
  assert.deepEqual(await line.idle(), []);
  line.break(4503, "draining");
  mock.timers.tick(100);
  const second = await server.welcome();
  assert.equal((await second.next("publish")).key, "k2");
});

test("a long queue keeps to the server's pace", async () => {
  const server = new FakeServer();
  const room = createClient(server.options).channel("room:1");
  for (let n = 0; n < 5; n++) void room.publish("new_message", { n });
  const line = await server.welcome({ limits: { frame: 65536, channels: 500, publishes: 2 } });
  await line.next("publish");
  await line.next("publish");
  assert.deepEqual(await line.idle(), []);
  mock.timers.tick(500);
  await line.next("publish");
  assert.deepEqual(await line.idle(), []);
});

test("a frame that the server would not take is refused here", async () => {
  const server = new FakeServer();
  const room = createClient(server.options).channel("room:1");
  await server.welcome({ limits: { frame: 200, channels: 500, publishes: 50 } });
  await assert.rejects(room.publish("new_message", { text: "é".repeat(90) }), { code: 4130, reason: "frame_too_large" });
  await settle();
});

test("the same request under the same key is one request", async () => {
  const server = new FakeServer();
  const client = createClient(server.options);
  const room = client.channel("room:lobby");
  const one = room.call("open", { members: [] }, { key: "k" });
  const two = room.call("open", { members: [] }, { key: "k" });
  assert.equal(client.pending, 1);
  await assert.rejects(room.call("close", {}, { key: "k" }), { code: 4093 });
  const line = await server.welcome();
  line.ok(await line.next("call"), { seq: 1 });
  assert.deepEqual(await one, await two);
});

test("close rejects what has no outcome", async () => {
  const server = new FakeServer();
  const client = createClient(server.options);
  const published = client.channel("room:1").publish("new_message");
  client.close();
  await assert.rejects(published, { code: 3900, reason: "closed" });
});

function event(seq: number, from: string, key: string): object {
  return { op: "event", channel: "room:1", event: "new_message", seq, from, key, data: {} };
}
