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
  assert.deepEqual(await line.idle(), [], "the second waits for the outcome of the first");
  line.break();
  const three = room.publish("new_message", { text: "three" }, { key: "k3" });

  const second = await back(server);
  const subscribe = await second.next("subscribe");
  assert.deepEqual(await second.idle(), [], "nothing is sent before the replay");
  second.ok(subscribe, { position: at(7), replaying: 2 });
  second.tell(event(6, "luis", "k2"), event(7, "ana", "k1"));
  assert.deepEqual(await one, { seq: 7 });
  const next = await second.next("publish");
  assert.equal(next.key, "k2", "luis's key reads the same and is not ours");
  second.break();

  const third = await back(server);
  third.ok(await third.next("subscribe"), { position: at(7), replaying: 0 });
  const resent = await third.next("publish");
  assert.equal(resent.key, "k2");
  third.ok(resent, { seq: 8 });
  const fresh = await third.next("publish");
  assert.equal(fresh.key, "k3");
  third.ok(fresh, { seq: 9 });
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

test("a full queue refuses what is new, by number and by bytes, and keeps what it has", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, queue: 3, queueBytes: 1_000 });
  const room = client.channel("room:1");
  const kept = room.publish("new_message", { n: 1 });
  await assert.rejects(room.publish("new_message", { text: "x".repeat(1_000) }), { code: 3901, reason: "full", retry: true });
  void room.publish("new_message", { n: 2 });
  void room.publish("new_message", { n: 3 });
  await assert.rejects(room.publish("new_message", { n: 4 }), { code: 3901, reason: "full", retry: true });
  assert.equal(client.pending, 3);
  const line = await server.welcome();
  line.ok(await line.next("publish"), { seq: 1 });
  await kept;
  void room.publish("new_message", { n: 4 });
  assert.equal(client.pending, 3);
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

test("a long queue keeps to the server's pace, and channels take turns", async () => {
  const server = new FakeServer();
  const client = createClient(server.options);
  for (let n = 0; n < 3; n++) for (const id of [1, 2]) void client.channel(`room:${id}`).publish("new_message", { n });
  const line = await server.welcome({ limits: { frame: 65536, channels: 500, publishes: 3 } });
  const channels: unknown[] = [];
  for (let sent = 0; sent < 3; sent++) {
    const request = await line.next("publish");
    channels.push(request.channel);
    line.ok(request, { seq: sent + 1 });
  }
  assert.deepEqual(channels, ["room:1", "room:2", "room:1"]);
  assert.deepEqual(await line.idle(), []);
  mock.timers.tick(334);
  assert.equal((await line.next("publish")).channel, "room:2");
  assert.deepEqual(await line.idle(), []);
});

test("whoever is refused for now is not overtaken on its channel, and nobody else waits", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const line = await server.welcome({ ping: 3_600 });
  const receipts = ["k1", "k2"].map((key) => client.channel("room:1").publish("new_message", {}, { key }));
  const refused = await line.next("publish");
  line.refuse(refused, 4505, "rate_limited");
  const other = client.channel("room:2").publish("new_message", {}, { key: "other" });
  assert.deepEqual(await line.idle(), [], "the allowance is used up for every channel");
  mock.timers.tick(20);
  line.ok(await line.next("publish"), { seq: 7 });
  await other;
  assert.deepEqual(await line.idle(), [], "its pause is not over");
  mock.timers.tick(480);
  for (const [seq, key] of ["k1", "k2"].entries()) {
    const request = await line.next("publish");
    assert.equal(request.key, key);
    line.ok(request, { seq });
  }
  assert.deepEqual(await Promise.all(receipts), [{ seq: 0 }, { seq: 1 }]);
});

test("a final refusal lets the next one pass", async () => {
  const server = new FakeServer();
  const room = createClient(server.options).channel("room:1");
  const line = await server.welcome();
  const first = room.publish("new_message", {}, { key: "k1" });
  const second = room.publish("new_message", {}, { key: "k2" });
  line.refuse(await line.next("publish"), 4003, "invalid_data");
  line.ok(await line.next("publish"), { seq: 1 });
  await assert.rejects(first, { code: 4003 });
  await second;
});

test("a volatile message waits for an answer at most, never for a pause", async () => {
  const server = new FakeServer();
  const room = createClient({ ...server.options, backoff }).channel("room:1");
  const line = await server.welcome({ ping: 3_600 });
  void room.publish("new_message", {}, { key: "k1" });
  const behind = room.publish("typing", {}, { key: "v1", volatile: true });
  const kept = await line.next("publish");
  assert.deepEqual(await line.idle(), []);
  const gone = assert.rejects(behind, { code: 3903 });
  line.refuse(kept, 4501, "unavailable");
  await gone;
  await assert.rejects(room.publish("typing", {}, { volatile: true }), { code: 3903 });
  mock.timers.tick(500);
  const again = await line.next("publish");
  const two = [room.publish("typing", {}, { key: "v2", volatile: true }), room.publish("typing", {}, { key: "v3", volatile: true })];
  line.ok(again, { seq: 1 });
  for (const key of ["v2", "v3"]) {
    const request = await line.next("publish");
    assert.equal(request.key, key, "volatile ones do not wait for each other");
    setImmediate(() => line.ok(request));
  }
  await Promise.all(two);
});

test("what is volatile does not wait until the bus is back", async () => {
  const server = new FakeServer();
  const room = createClient({ ...server.options, backoff }).channel("room:1");
  const line = await server.welcome();
  const kept = room.publish("new_message", {}, { key: "k1" });
  const behind = assert.rejects(room.publish("typing", {}, { volatile: true }), { code: 3903 });
  const request = await line.next("publish");
  line.tell({ op: "degraded" });
  line.ok(request, { seq: 1 });
  await Promise.all([kept, behind]);
});

test("the time that a server may say later begins anew after a drop", async () => {
  const server = new FakeServer();
  const room = createClient({ ...server.options, backoff }).channel("room:1");
  const published = room.publish("new_message", {}, { key: "k1" });
  const line = await server.welcome({ ping: 3_600 });
  line.refuse(await line.next("publish"), 4501, "unavailable");
  line.break();
  mock.timers.tick(60_000);
  const second = await server.welcome();
  line.tell({ op: "degraded" });
  second.refuse(await second.next("publish"), 4501, "unavailable");
  mock.timers.tick(500);
  second.ok(await second.next("publish"), { seq: 1 });
  assert.deepEqual(await published, { seq: 1 });
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
