import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { createClient, type Card } from "../src/index.ts";
import { FakeServer, settle, type FakeLine } from "./fake_server.ts";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
});

const backoff = { base: 1_000, random: () => 0 };
const card = (id: string, status: Card["status"]): Card => ({ id, status, devices: [] });
const told = (line: FakeLine, id: string, part: string, status?: Card["status"]) =>
  line.tell({
    op: "presence",
    channel: `presence:user.${id}`,
    [part]: [{ user: id, ref: `r-${id}`, meta: status && card(id, status), since: "2026-01-01T00:00:00Z" }],
    count: 1,
  });

test("watched users are told of, over drops, until others are watched", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const heard: string[] = [];
  client.people.onChange(({ id, status }) => heard.push(`${id} ${status}`));
  const line = await server.welcome();
  const watching = client.people.watch(["ana", "luis", "ana"]);
  const request = await line.next("watch");
  assert.deepEqual(request["users"], ["ana", "luis"]);
  line.ok(request, { data: { users: [card("ana", "online"), card("luis", "offline")] } });
  await watching;
  told(line, "ana", "state", "online");
  told(line, "luis", "joins", "busy");
  told(line, "luis", "leaves");
  assert.deepEqual(heard, ["ana online", "luis offline", "luis busy", "luis offline"]);
  line.break();
  mock.timers.tick(0);
  const second = await server.welcome();
  second.ok(await second.next("watch"), { data: { users: [card("ana", "online"), card("luis", "away")] } });
  assert.deepEqual(heard.slice(4), ["luis away"], "a reconnect is not news");
  void client.people.watch(["eva"]);
  told(second, "ana", "updates", "dnd");
  assert.equal(heard.length, 5);
});

test("a refused watch is told to its caller, a passing one is tried again", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const line = await server.welcome();
  const patient = client.people.watch(["ana"]);
  line.refuse(await line.next("watch"), 4501, "unavailable");
  mock.timers.tick(2_000);
  line.ok(await line.next("watch"), { data: { users: [] } });
  await patient;
  const refused = client.people.watch(["luis"]);
  line.refuse(await line.next("watch"), 4131, "too_many_channels");
  await assert.rejects(refused, { code: 4131 });
});

test("a device says what it is, and when it is touched", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff, device: "mobile" });
  const line = await server.welcome();
  assert.deepEqual(line.hello?.["device"], { kind: "mobile" });
  client.touch();
  await line.next("activity");
  const set = client.setStatus({ status: "busy", custom_message: "lunch" });
  const call = await line.next("call");
  assert.deepEqual([call.channel, call["command"], call["data"]], ["user:ana", "set_status", { status: "busy", custom_message: "lunch" }]);
  line.ok(call, { seq: 1 });
  await set;
});

/** A subscribed channel. */
async function enter(): Promise<{ line: FakeLine; room: ReturnType<ReturnType<typeof createClient>["channel"]> }> {
  const server = new FakeServer();
  const room = createClient({ ...server.options, backoff }).channel("room:1");
  void room.subscribe({ presence: true });
  const line = await server.welcome();
  line.ok(await line.next("subscribe"));
  return { line, room };
}

const types = (line: FakeLine, from: string, typing?: boolean) =>
  line.tell({ op: "event", channel: "room:1", event: "typing", from, data: typing === undefined ? {} : { typing } });

test("who types is one line for people", async () => {
  const { line, room } = await enter();
  const lines: string[] = [];
  room.typing.onChange(({ line }) => lines.push(line));
  line.tell({ op: "presence", channel: "room:1", state: [{ user: "luis", ref: "r2", name: "Luis", since: "2026-01-01T00:00:00Z" }], count: 1 });
  types(line, "ana"); // ourselves
  types(line, "eva");
  types(line, "luis", true);
  types(line, "luis", true);
  types(line, "joe", true);
  types(line, "mia", true);
  types(line, "eva", false);
  line.tell({ op: "event", channel: "room:1", event: "new_message", from: "mia", data: { text: "hola" } });
  assert.deepEqual(lines, [
    "eva is typing…",
    "eva and Luis are typing…",
    "eva, Luis and joe are typing…",
    "eva, Luis and 2 others are typing…",
    "Luis, joe and mia are typing…",
    "Luis and joe are typing…",
  ]);
  mock.timers.tick(3_000);
  assert.deepEqual(room.typing.users, [], "whoever does not say so again has stopped");
});

test("our own typing is told now and then, and its end", async () => {
  const { line, room } = await enter();
  const said = async () => {
    const publish = await line.next("publish");
    line.ok(publish);
    return (publish["data"] as { typing: boolean }).typing;
  };
  room.typing.start();
  assert.equal(await said(), true);
  mock.timers.tick(1_000);
  room.typing.start();
  assert.deepEqual(await line.idle(), []);
  mock.timers.tick(1_000);
  room.typing.start();
  assert.equal(await said(), true);
  mock.timers.tick(3_000);
  assert.equal(await said(), false);
  room.typing.stop();
  room.typing.start();
  assert.equal(await said(), true);
  room.typing.stop();
  assert.equal(await said(), false);
  await settle();
});

test("a status set before the first welcome waits for it, and is refused when there will be none", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const set = client.setStatus({ status: "busy" });
  const line = await server.welcome({ user: "ana" });
  const request = await line.next("call");
  assert.equal(request["channel"], "user:ana");
  line.ok(request);
  await set;
  const other = createClient({ ...new FakeServer().options, backoff });
  const never = other.clearStatus();
  other.close();
  await assert.rejects(never, { code: 3900 });
});
