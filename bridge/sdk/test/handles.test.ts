/** Several parts of an application on one channel: each hears what it asked for, and ends only its own. */
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { createClient, type Channel, type Client } from "../src/index.ts";
import { FakeServer, settle, type FakeLine } from "./fake_server.ts";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
});

const backoff = { base: 1_000, random: () => 0 };
const at = (seq: number, epoch = "e1") => ({ epoch, seq });
const message = (seq: number) => ({ op: "event", channel: "room:1", event: "new_message", seq, from: "luis", data: {} });
const member = (user: string) => ({ user, ref: user, meta: {}, since: "2026-01-01T00:00:00Z" });

function listen(channel: Channel): string[] {
  const seen: string[] = [];
  channel.on("*", ({ event, seq, replayed }) => seen.push(`${seq ?? event}${replayed ? "r" : ""}`));
  return seen;
}

function watch(channel: Channel): string[] {
  const seen: string[] = [];
  channel.onPresence(({ joins, leaves, count }) => {
    seen.push([...joins.map(({ ref }) => `+${ref}`), ...leaves.map(({ ref }) => `-${ref}`), `=${count}`].join(" "));
  });
  return seen;
}

/** A channel that one part follows from position 5 on. */
async function followed(options: { presence?: boolean } = {}): Promise<{ server: FakeServer; client: Client; line: FakeLine; one: Channel }> {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const one = client.channel("room:1");
  void one.subscribe(options);
  const line = await server.welcome();
  line.ok(await line.next("subscribe"), { position: at(5) });
  return { server, client, line, one };
}

test("a second part shares the subscription, and one unsubscribe ends only its own", async () => {
  const { client, line, one } = await followed();
  const two = client.channel("room:1");
  const [heardByOne, heardByTwo] = [listen(one), listen(two)];
  assert.deepEqual(await two.subscribe(), at(5));
  assert.deepEqual(await line.idle(), [], "nothing has to be asked");
  line.tell(message(6));
  await one.unsubscribe();
  assert.deepEqual([one.state, two.state], ["unsubscribed", "subscribed"]);
  assert.deepEqual(await line.idle(), []);
  line.tell(message(7));
  const left = two.unsubscribe();
  line.ok(await line.next("unsubscribe"));
  await left;
  assert.deepEqual([heardByOne, heardByTwo], [["6"], ["6", "7"]]);
});

test("presence that only the second part wants is asked for, and the first loses nothing", async () => {
  const { client, line, one } = await followed();
  const heard = listen(one);
  line.tell(message(6));
  const two = client.channel("room:1");
  const seen = watch(two);
  const seenByOne = watch(one);
  const subscribed = two.subscribe({ presence: true });
  const request = await line.next("subscribe");
  assert.deepEqual(request, { id: 2, op: "subscribe", channel: "room:1", presence: true }, "the server knows where it stands");
  line.tell(message(7));
  assert.equal(one.state, "subscribed", "it does not flicker");
  line.ok(request, { position: at(7) });
  line.tell(message(8), { op: "presence", channel: "room:1", state: [member("luis")], count: 1 });
  await subscribed;
  assert.deepEqual(heard, ["6", "7", "8"]);
  assert.deepEqual([seen, seenByOne], [["+luis =1"], []], "who did not ask is not told");
});

test("presence wanted later by the same part takes effect too", async () => {
  const { line, one } = await followed();
  const more = one.subscribe({ presence: true });
  const request = await line.next("subscribe");
  assert.equal(request["presence"], true);
  line.ok(request, { position: at(5) });
  await more;
  assert.equal(one.subscribe({ presence: true }), one.subscribe());
  assert.deepEqual(await line.idle(), []);
});

test("who comes later to presence that is known is told who is here", async () => {
  const { client, line, one } = await followed({ presence: true });
  const first = watch(one);
  line.tell({ op: "presence", channel: "room:1", state: [member("luis"), member("eva")], count: 2 });
  const two = client.channel("room:1");
  const second = watch(two);
  await two.subscribe({ presence: true });
  await settle();
  line.tell({ op: "presence", channel: "room:1", leaves: [{ user: "eva", ref: "eva" }], count: 1 });
  await two.unsubscribe();
  line.tell({ op: "presence", channel: "room:1", joins: [member("joe")], count: 2 });
  assert.deepEqual(first, ["+luis +eva =2", "-eva =1", "+joe =2"]);
  assert.deepEqual(second, ["+luis +eva =2", "-eva =1", "-luis =0"]);
  assert.equal(two.presence.size, 0);
});

test("history that the second part asks for is not repeated to the first", async () => {
  const { client, line, one } = await followed();
  const heardByOne = listen(one);
  line.tell(message(6));
  const two = client.channel("room:1");
  const heardByTwo = listen(two);
  void two.subscribe({ last: 3 });
  const request = await line.next("subscribe");
  assert.deepEqual([request["last"], request["anew"]], [3, true]);
  line.ok(request, { position: at(6), replaying: 3 });
  line.tell(message(2), message(5), message(6), message(7));
  assert.deepEqual([heardByOne, heardByTwo], [["6", "7"], ["2r", "5r", "6r", "7"]]);
  assert.deepEqual(await line.idle(), [], "the first had everything");
});

test("history that begins behind the first part brings what that part lacks", async () => {
  const { client, line, one } = await followed();
  const heardByOne = listen(one);
  const two = client.channel("room:1");
  const heardByTwo = listen(two);
  void two.subscribe({ last: 1 });
  line.ok(await line.next("subscribe"), { position: at(9), replaying: 2 });
  line.tell(message(8), message(9), message(10));
  assert.deepEqual([heardByOne, heardByTwo], [["8r", "9r", "10"], ["8r", "9r", "10"]]);
});

test("on a new link those who stand somewhere ask first, and then who has seen nothing yet", async () => {
  const { server, client, line, one } = await followed();
  const heardByOne = listen(one);
  line.break();
  const two = client.channel("room:1");
  const heardByTwo = listen(two);
  void two.subscribe({ last: 2 });
  mock.timers.tick(0);
  const second = await server.welcome();
  const first = await second.next("subscribe");
  assert.deepEqual([first["since"], first["last"]], [at(5), undefined]);
  second.ok(first, { position: at(7), replaying: 1 });
  second.tell(message(7));
  const next = await second.next("subscribe");
  assert.deepEqual([next["since"], next["last"], next["anew"]], [undefined, 2, true]);
  second.ok(next, { position: at(7), replaying: 2 });
  second.tell(message(3), message(7), message(8));
  assert.deepEqual([heardByOne, heardByTwo], [["7r", "8"], ["3r", "7r", "8"]]);
});

test("parts with positions of their own each get their part, over a drop too", async () => {
  const { server, client, line, one } = await followed();
  const heardByOne = listen(one);
  line.tell(message(8));
  const two = client.channel("room:1");
  const heardByTwo = listen(two);
  void two.subscribe({ since: at(3) });
  const request = await line.next("subscribe");
  assert.deepEqual([request["since"], request["anew"]], [at(3), true]);
  line.ok(request, { position: at(8), replaying: 3 });
  line.tell(message(4), message(6));
  line.break();
  mock.timers.tick(0);
  const second = await server.welcome();
  const back = await second.next("subscribe");
  assert.deepEqual([back["since"], back["anew"]], [at(6), undefined], "where the one stands that is furthest behind");
  second.ok(back, { position: at(9), replaying: 2 });
  second.tell(message(8), message(9), message(10));
  assert.deepEqual([heardByOne, heardByTwo], [["8", "9r", "10"], ["4r", "6r", "8r", "9r", "10"]]);
  assert.deepEqual([one.position, two.position], [at(10), at(10)]);
});

test("a gap is told to those who miss something", async () => {
  const { client, line, one } = await followed();
  line.tell(message(8));
  const two = client.channel("room:1");
  const gaps: string[] = [];
  one.onGap(() => gaps.push("one"));
  two.onGap(({ to }) => gaps.push(`two ${to}`));
  void two.subscribe({ since: at(2) });
  line.ok(await line.next("subscribe"), { position: at(8), replaying: 1 });
  line.tell({ op: "gap", channel: "room:1", from: 3, to: 7, position: at(7) }, message(8));
  assert.deepEqual(gaps, ["two 7"]);
  line.tell({ op: "gap", channel: "room:1", from: 4, to: 8, position: at(3) });
  assert.deepEqual(gaps, ["two 7", "one", "two 8"], "what was taken back is gone for all");
});

test("a part whose wish is refused leaves the others alone", async () => {
  const { client, line, one } = await followed();
  const two = client.channel("room:1");
  const refused = assert.rejects(two.subscribe({ last: "for ever" }), { code: 4002 });
  line.refuse(await line.next("subscribe"), 4002, "invalid_frame");
  await refused;
  assert.deepEqual([one.state, two.state], ["subscribed", "unsubscribed"]);
  const heard = listen(one);
  line.tell(message(6));
  assert.deepEqual(heard, ["6"]);
});

test("a page that mounts, unmounts and mounts again ends up subscribed once", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const line = await server.welcome();
  const room = client.channel("room:1");
  const heard = listen(room);
  void room.subscribe({ last: 1 });
  void room.unsubscribe();
  const subscribed = room.subscribe({ last: 1 });
  const [first, gone] = [await line.next("subscribe"), await line.next("unsubscribe")];
  line.ok(first, { position: at(5), replaying: 1 });
  line.tell(message(5));
  line.ok(gone);
  line.ok(await line.next("subscribe"), { position: at(5), replaying: 1 });
  line.tell(message(5), message(6));
  await subscribed;
  assert.deepEqual(heard, ["5r", "6"]);
  assert.deepEqual(await line.idle(), []);
});

test("who never subscribed hears what others' subscription brings, until it unsubscribes", async () => {
  const { client, line } = await followed();
  const quiet = client.channel("room:1");
  const heard = listen(quiet);
  line.tell(message(6));
  await quiet.unsubscribe();
  line.tell(message(7));
  assert.deepEqual(heard, ["6"]);
});

test("history that it asks for later does not repeat what it has heard without a subscription", async () => {
  const { client, line } = await followed();
  const quiet = client.channel("room:1");
  const early = listen(quiet);
  line.tell(message(6), message(7));
  const late = listen(quiet);
  line.tell(message(8));
  void quiet.subscribe({ last: 5 });
  line.ok(await line.next("subscribe"), { position: at(8), replaying: 5 });
  line.tell(message(4), message(5), message(6), message(7), message(8), message(9));
  assert.deepEqual(early, ["6", "7", "8", "4r", "5r", "9"]);
  assert.deepEqual(late, ["8", "4r", "5r", "6r", "7r", "9"], "each handler hears what it has not");
  void quiet.unsubscribe();
  void quiet.subscribe({ last: 1 });
  line.ok(await line.next("subscribe"), { position: at(9), replaying: 2 });
  line.tell(message(8), message(9));
  assert.deepEqual(early.slice(6), ["8r", "9r"], "what is asked for again is told again");
});

test("history holds what passed by while nobody was subscribed, and what was lost in a drop", async () => {
  const { server, client, line, one } = await followed();
  const quiet = client.channel("room:1");
  const heard = listen(quiet);
  line.tell(message(6));
  const left = one.unsubscribe();
  line.ok(await line.next("unsubscribe"));
  await left;
  void one.subscribe();
  line.ok(await line.next("subscribe"), { position: at(8) });
  line.tell(message(9));
  line.break();
  mock.timers.tick(0);
  const second = await server.welcome();
  const back = await second.next("subscribe");
  assert.deepEqual(back["since"], at(9));
  second.ok(back, { position: at(10), replaying: 1 });
  second.tell(message(10), message(11));
  void quiet.subscribe({ last: 6 });
  second.ok(await second.next("subscribe"), { position: at(11), replaying: 6 });
  for (let seq = 6; seq <= 11; seq++) second.tell(message(seq));
  assert.deepEqual(heard.slice(0, 4), ["6", "9", "10r", "11"]);
  assert.deepEqual(heard.slice(4), ["6r", "7r", "8r"], "7 and 8 went by unheard; before them nothing is remembered");
});

test("who comes back while its first question is under way has its second one answered", async () => {
  const { client, line } = await followed();
  const two = client.channel("room:1");
  const heard = listen(two);
  void two.subscribe({ last: 1 });
  const first = await line.next("subscribe");
  void two.unsubscribe();
  const subscribed = two.subscribe({ last: 3 });
  line.ok(first, { position: at(5), replaying: 1 });
  line.tell(message(5));
  const second = await line.next("subscribe");
  assert.deepEqual([second["last"], second["anew"]], [3, true]);
  line.ok(second, { position: at(5), replaying: 3 });
  line.tell(message(3), message(4), message(5));
  await subscribed;
  assert.deepEqual(heard, ["3r", "4r", "5r"]);
});

test("numbers that were given anew are heard anew", async () => {
  const { client, line } = await followed();
  const quiet = client.channel("room:1");
  const heard = listen(quiet);
  line.tell(message(6), message(7));
  void quiet.subscribe({ last: 2 });
  line.ok(await line.next("subscribe"), { position: at(7), replaying: 2 });
  line.tell({ op: "gap", channel: "room:1", from: 6, to: 7, position: at(5) }, message(6), message(7));
  assert.deepEqual(heard, ["6", "7", "6r", "7r"]);
});

test("the newest meta is shown, and what was before it again when its owner goes", async () => {
  const { client, line, one } = await followed();
  const two = client.channel("room:1");
  await two.subscribe();
  void one.track({ n: 1 });
  line.ok(await line.next("track"));
  void two.track({ n: 2 });
  line.ok(await line.next("track"));
  await two.unsubscribe();
  const again = await line.next("track");
  assert.deepEqual(again["meta"], { n: 1 });
  line.ok(again);
  void one.untrack();
  line.ok(await line.next("untrack"));
  assert.deepEqual(await line.idle(), []);
});

test("who goes while another is being subscribed is not shown any longer", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const [one, two] = [client.channel("room:1"), client.channel("room:1")];
  const line = await server.welcome();
  void one.track({ n: 1 });
  line.ok(await line.next("track"));
  void two.subscribe();
  await one.unsubscribe();
  line.ok(await line.next("subscribe"));
  line.ok(await line.next("untrack"));
  assert.deepEqual(await line.idle(), []);
});

test("two parts type as one, until both have stopped", async () => {
  const { client, line, one } = await followed();
  const two = client.channel("room:1");
  mock.timers.tick(10_000);
  one.typing.start();
  line.ok(await line.next("publish"));
  two.typing.start();
  one.typing.stop();
  assert.deepEqual(await line.idle(), []);
  two.typing.stop();
  const end = await line.next("publish");
  assert.deepEqual(end["data"], { typing: false });
});
