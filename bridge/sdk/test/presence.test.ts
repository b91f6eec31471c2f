import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { byKey, byUser, createClient, type Channel, type Member } from "../src/index.ts";
import { FakeServer, settle, type FakeLine } from "./fake_server.ts";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
});

const backoff = { base: 1_000, random: () => 0 };
const member = (user: string, ref: string, meta?: unknown): Member => ({ user, ref, meta, since: `2026-01-01T00:00:0${ref.slice(1)}Z` });

/** Subscribes with presence and writes down every change as "+ref ~ref -ref". */
async function enter(server: FakeServer): Promise<{ line: FakeLine; room: Channel; changes: string[] }> {
  const room = createClient({ ...server.options, backoff }).channel("room:1");
  const changes: string[] = [];
  room.onPresence(({ joins, updates, leaves, count }) => {
    const signed = (sign: string, members: Member[]) => members.map(({ ref }) => sign + ref);
    changes.push([...signed("+", joins), ...signed("~", updates), ...signed("-", leaves), `=${count}`].join(" "));
  });
  void room.subscribe({ presence: true });
  const line = await server.welcome();
  line.ok(await line.next("subscribe"));
  return { line, room, changes };
}

const presence = (fields: object) => ({ op: "presence", channel: "room:1", ...fields });

test("state, joins, updates and leaves", async () => {
  const { line, room, changes } = await enter(new FakeServer());
  line.tell(presence({ state: [member("ana", "r1")], count: 1 }));
  const before = room.presence;
  line.tell(presence({ joins: [member("luis", "r2")], count: 2 }));
  line.tell(presence({ updates: [member("luis", "r2", { car: 7 })], count: 2 }));
  line.tell(presence({ leaves: [{ user: "luis", ref: "r2" }], count: 1 }));
  assert.deepEqual(changes, ["+r1 =1", "+r2 =2", "~r2 =2", "-r2 =1"]);
  assert.deepEqual([...before.keys()], ["r1"], "a snapshot once taken stays as it was");
});

test("diffs that come before the state are kept until it comes", async () => {
  const { line, room, changes } = await enter(new FakeServer());
  line.tell(presence({ joins: [member("eva", "r3")], leaves: [{ user: "luis", ref: "r2" }], count: 2 }));
  assert.deepEqual(changes, []);
  line.tell(presence({ state: [member("ana", "r1"), member("luis", "r2")], count: 2 }));
  assert.deepEqual([...room.presence.keys()].sort(), ["r1", "r3"]);
});

test("a reconnect is not news; who came and went meanwhile is", async () => {
  const server = new FakeServer();
  const { line, changes } = await enter(server);
  line.tell(presence({ state: [member("ana", "r1"), member("luis", "r2"), member("eva", "r3")], count: 3 }));
  line.break();
  mock.timers.tick(0);
  const second = await server.welcome();
  second.ok(await second.next("subscribe"));
  second.tell(presence({ state: [member("ana", "r1"), member("eva", "r3"), member("joe", "r4")], count: 3 }));
  assert.deepEqual(changes, ["+r1 +r2 +r3 =3", "+r4 -r2 =3"]);
});

test("nobody is called gone before the last page of a large snapshot", async () => {
  const server = new FakeServer();
  const { line, room, changes } = await enter(server);
  line.tell(presence({ state: [member("ana", "r1"), member("luis", "r2"), member("eva", "r3")], count: 3 }));
  line.break();
  mock.timers.tick(0);
  const second = await server.welcome();
  second.ok(await second.next("subscribe"));
  second.tell(presence({ state: [member("ana", "r1")], count: 2 }));
  assert.equal(room.presence.size, 3);
  second.tell(presence({ joins: [member("eva", "r3")], count: 2 }));
  assert.deepEqual(changes, ["+r1 +r2 +r3 =3", "=2", "-r2 =2"]);
});

test("several tabs of one user fold to one", () => {
  const members = new Map([member("ana", "r3"), member("luis", "r2"), member("ana", "r1")].map((one) => [one.ref, one]));
  const folded = [...byUser(members)].map(([user, sessions]) => [user, sessions.map(({ ref }) => ref)]);
  assert.deepEqual(folded, [["ana", ["r1", "r3"]], ["luis", ["r2"]]]);
});

test("members are found by the key they chose", () => {
  const seat = (user: string, ref: string, key?: string): [string, Member] => [ref, { ...member(user, ref), ...(key && { key }) }];
  const found = byKey(new Map([seat("ana", "r1", "seat 7"), seat("luis", "r2"), seat("eva", "r3", "seat 7")]));
  assert.deepEqual([...found].map(([key, { user }]) => `${key} ${user}`), ["seat 7 eva", "r2 luis"]);
});

test("a position is news", async () => {
  const { line, changes } = await enter(new FakeServer());
  const at = (lat: number) => ({ ...member("ana", "r1"), position: { lat, lng: 2, accuracy: "city" } });
  line.tell(presence({ state: [at(1)], count: 1 }));
  line.tell(presence({ updates: [at(1)], count: 1 }));
  line.tell(presence({ updates: [at(3)], count: 1 }));
  assert.deepEqual(changes, ["+r1 =1", "~r1 =1"]);
});

test("tracking lasts over drops, and only the newest meta is told", async () => {
  const server = new FakeServer();
  const { line, room } = await enter(server);
  const tracked = room.track({ n: 1 });
  void room.track({ n: 2 });
  const last = room.track({ n: 3 });
  const first = await line.next("track");
  assert.deepEqual(first["meta"], { n: 1 });
  assert.deepEqual(await line.idle(), []);
  line.ok(first);
  await tracked;
  line.ok(await line.next("track"));
  await last;
  line.break();
  mock.timers.tick(0);
  const second = await server.welcome();
  const subscribe = await second.next("subscribe");
  assert.deepEqual(await second.idle(), [], "first the channel, then the member");
  second.ok(subscribe);
  const again = await second.next("track");
  assert.deepEqual(again["meta"], { n: 3 });
  second.ok(again);
  const left = room.untrack();
  second.ok(await second.next("untrack"));
  await left;
  second.break();
  mock.timers.tick(0);
  const third = await server.welcome();
  third.ok(await third.next("subscribe"));
  assert.deepEqual(await third.idle(), []);
});

test("a refused meta is told to its caller and not repeated", async () => {
  const server = new FakeServer();
  const { line, room } = await enter(server);
  const tracked = room.track({ huge: true });
  line.refuse(await line.next("track"), 4132, "meta_too_large");
  await assert.rejects(tracked, { code: 4132 });
  line.break();
  mock.timers.tick(0);
  const second = await server.welcome();
  second.ok(await second.next("subscribe"));
  assert.deepEqual(await second.idle(), []);
});

test("leaving a channel empties its presence", async () => {
  const server = new FakeServer();
  const { line, room, changes } = await enter(server);
  line.tell(presence({ state: [member("ana", "r1")], count: 1 }));
  void room.unsubscribe();
  assert.deepEqual(changes, ["+r1 =1", "-r1 =0"]);
  await settle();
});
