/** Every promise settles, and nothing that nobody waits for ends a process. */
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { createClient, Refusal, type StateChange } from "../src/index.ts";
import { FakeServer, settle } from "./fake_server.ts";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
});

const backoff = { base: 1_000, random: () => 0.5 };

/** Everything that a client can promise, as it looks from outside. */
function everything(client: ReturnType<typeof createClient>): Promise<unknown>[] {
  const room = client.channel("room:1");
  return [
    room.subscribe({ presence: true }),
    room.track({ n: 1 }),
    room.untrack(),
    room.publish("new_message", { text: "hi" }),
    room.call("join"),
    client.people.watch(["luis"]),
    client.setStatus({ status: "busy" }),
    client.clearStatus(),
  ];
}

async function allRejectWith(promises: Promise<unknown>[], code: number): Promise<void> {
  const outcomes = await Promise.allSettled(promises);
  const codes = outcomes.map((outcome) => (outcome.status === "rejected" ? (outcome.reason as Refusal).code : outcome.status));
  assert.deepEqual(codes, promises.map(() => code));
}

const ends: Record<string, { code: number; end: (server: FakeServer, client: ReturnType<typeof createClient>) => Promise<void> }> = {
  "close while dialling": { code: 3900, end: async (_, client) => client.close() },
  "close when connected": {
    code: 3900,
    end: async (server, client) => {
      await server.welcome();
      client.close();
    },
  },
  "a final code instead of a welcome": { code: 4030, end: async (server) => (await server.accept()).break(4030, "forbidden") },
  "a final code later": { code: 4001, end: async (server) => (await server.welcome()).break(4001, "unknown_op") },
};

for (const [what, { code, end }] of Object.entries(ends)) {
  test(`every promise settles after ${what}, those made later too`, async () => {
    const server = new FakeServer();
    const client = createClient({ ...server.options, backoff });
    const before = everything(client);
    await end(server, client);
    await allRejectWith(before, code);
    await allRejectWith(everything(client), code);
    assert.equal(client.pending, 0);
    assert.equal(client.error?.code, code);
    assert.equal(client.channel("room:1").state, "unsubscribed");
    client.open();
    const line = await server.welcome();
    assert.equal(client.error, undefined);
    void client.channel("room:1").subscribe();
    await line.next("subscribe");
  });
}

test("what nobody waits for ends quietly", async () => {
  const unhandled: unknown[] = [];
  const hear = (reason: unknown): number => unhandled.push(reason);
  process.on("unhandledRejection", hear);
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  void everything(client);
  (await server.accept()).break(4030, "forbidden");
  void everything(client);
  for (let turn = 0; turn < 5; turn++) await settle();
  process.off("unhandledRejection", hear);
  assert.deepEqual(unhandled, []);
});

test("a socket that reports errors as Node's do harms nobody", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const line = await server.accept();
  const { onerror } = line as unknown as { onerror?: (event: unknown) => void };
  assert.equal(typeof onerror, "function", "without a listener it would end the process");
  line.break();
  assert.equal(typeof (line as unknown as { onerror?: unknown }).onerror, "function", "it may still report after the close");
  assert.equal(client.state, "connecting");
});

test("unsubscribing while subscribing settles both", async () => {
  const server = new FakeServer();
  const room = createClient({ ...server.options, backoff }).channel("room:1");
  const early = assert.rejects(room.subscribe(), { code: 3905 });
  await room.unsubscribe();
  await early;
  const line = await server.welcome();
  const late = assert.rejects(room.subscribe(), { code: 3905 });
  const subscribe = await line.next("subscribe");
  const left = room.unsubscribe();
  const unsubscribe = await line.next("unsubscribe");
  line.ok(subscribe);
  line.ok(unsubscribe);
  await Promise.all([late, left]);
  assert.equal(room.state, "unsubscribed");
});

test("who comes and leaves again before the server has answered the first leaving is told, too", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const [one, two] = [client.channel("room:1"), client.channel("room:1")];
  const subscribed = one.subscribe();
  const line = await server.welcome();
  line.ok(await line.next("subscribe"));
  await subscribed;
  const left = [one.unsubscribe()];
  for (const handle of [two, one]) {
    void handle.subscribe();
    left.push(handle.unsubscribe());
  }
  const tracked = two.track({ n: 1 });
  const unsubscribe = await line.next("unsubscribe");
  assert.deepEqual(await line.idle(), [], "one word is enough, and nothing else is said meanwhile");
  line.ok(unsubscribe);
  await Promise.all(left);
  line.ok(await line.next("track"));
  await tracked;
  assert.deepEqual(await line.idle(), []);
});

test("who hears that it is out and subscribes again has two promises that settle", async () => {
  const server = new FakeServer();
  const room = createClient({ ...server.options, backoff }).channel("room:1");
  let again: Promise<unknown> | undefined;
  const off = room.onState(({ state }) => {
    if (state !== "unsubscribed") return;
    off();
    again = room.subscribe();
  });
  const first = assert.rejects(room.subscribe(), { code: 4030 });
  const line = await server.welcome();
  line.refuse(await line.next("subscribe"), 4030, "forbidden");
  await first;
  line.ok(await line.next("subscribe"));
  await again;
  assert.equal(room.state, "subscribed");
});

test("who tracks beside a subscription that is refused is told what becomes of it", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const refused = assert.rejects(client.channel("room:1").subscribe(), { code: 4030 });
  const tracked = client.channel("room:1").track({ n: 1 });
  const line = await server.welcome();
  line.refuse(await line.next("subscribe"), 4030, "forbidden");
  await refused;
  line.ok(await line.next("track"));
  await tracked;
});

const circular: unknown[] = [];
circular.push(circular);

for (const [what, value] of Object.entries({
  "a circle": circular,
  "a BigInt": { n: 1n },
  "a function": () => 1,
  "a symbol": Symbol("x"),
  "what says of itself that it is nothing": { toJSON: () => undefined },
  NaN: NaN,
  "an infinite number deep inside": [{ null: null, far: [-Infinity] }],
})) {
  test(`${what} is refused by a promise, wherever it is given, and nothing of it is sent`, async () => {
    const server = new FakeServer();
    const client = createClient({ ...server.options, backoff });
    const line = await server.welcome();
    const room = client.channel("room:1");
    const given = [
      room.publish("new_message", value as never),
      room.call("join", value),
      client.setStatus(value as never),
      room.track(value),
      room.track({}, { position: value as never }),
      room.subscribe({ last: value as never }),
      client.people.watch([1n as never]),
    ];
    await allRejectWith(given, 3904);
    assert.deepEqual(await line.idle(), []);
    assert.equal(room.state, "unsubscribed");
    void room.publish("new_message", [null, "null", 1e308]);
    assert.deepEqual((await line.next("publish"))["data"], [null, "null", 1e308]);
  });
}

test("a name that is no text is refused by a promise over HTTP, too", async () => {
  const room = createClient({ ...new FakeServer().options, backoff }).channel("room:\ud800");
  await allRejectWith([room.count(), room.history().next()], 3904);
});

test("what is tracked is what it was when it was given", async () => {
  const server = new FakeServer();
  const room = createClient({ ...server.options, backoff }).channel("room:1");
  const meta = { n: 1 };
  void room.track(meta, { key: "seat 7" });
  meta.n = 2;
  const { id: _, ...track } = await (await server.welcome()).next("track");
  assert.deepEqual(track, { op: "track", channel: "room:1", meta: { n: 1 }, key: "seat 7" });
});

const failing: Record<string, { token: () => string | Promise<string>; sentence: RegExp; after?: number }> = {
  "that throws": {
    token: () => {
      throw new Error("no session");
    },
    sentence: /no token: no session/,
  },
  "that rejects": { token: async () => Promise.reject(new Error("offline")), sentence: /no token: offline/ },
  "that never answers": { token: () => new Promise<string>(() => {}), sentence: /no answer for 10 s/, after: 10_000 },
  "that gives nothing": { token: (async () => undefined) as unknown as () => Promise<string>, sentence: /gave undefined/ },
};

for (const [what, { token, sentence, after = 0 }] of Object.entries(failing)) {
  test(`a token function ${what} is told of in a sentence, and asked again`, async (t) => {
    const warned = t.mock.method(console, "warn", () => {});
    const server = new FakeServer();
    let asked = 0;
    const source = () => (++asked < 4 ? token() : "late");
    const client = createClient({ ...server.options, backoff, token: source });
    const changes: StateChange[] = [];
    client.onState((change) => changes.push(change));
    for (const pause of [500, 1_000, 2_000]) {
      await settle();
      mock.timers.tick(after);
      await settle();
      assert.match(client.error?.message ?? "", sentence);
      mock.timers.tick(pause);
    }
    const line = await server.welcome();
    assert.equal(line.hello?.["token"], "late");
    assert.equal(client.error, undefined);
    assert.deepEqual(changes.map(({ state, code }) => [state, code]), [...Array(3).fill(["connecting", 3908]), ["connected", 0]]);
    assert.match(changes[0]?.message ?? "", sentence);
    assert.equal(warned.mock.callCount(), 1, "once for all of them");
  });
}

test("a token function may end it for good", async (t) => {
  t.mock.method(console, "warn", () => {});
  const server = new FakeServer();
  const token = () => {
    throw new Refusal(4010, "unauthenticated", false, "signed out");
  };
  const client = createClient({ ...server.options, backoff, token });
  await assert.rejects(client.channel("room:1").publish("new_message"), { code: 4010, message: "signed out" });
  assert.equal(client.state, "disconnected");
});

test("what the server says before it closes is told", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const changes: StateChange[] = [];
  client.onState((change) => changes.push(change));
  const line = await server.accept();
  line.tell({ op: "error", code: 4030, reason: "forbidden", retry: false, message: "This user is suspended." });
  line.break(4030, "forbidden");
  assert.deepEqual(changes, [{ state: "disconnected", code: 4030, reason: "forbidden", message: "This user is suspended." }]);
});

test("without an address or a WebSocket it says what is missing", () => {
  const { url: _, ...noAddress } = new FakeServer().options;
  assert.throws(() => createClient(noAddress), { code: 3904, message: /option url/ });
  const { WebSocket: __, ...noSocket } = new FakeServer().options;
  if (typeof WebSocket === "undefined") assert.throws(() => createClient(noSocket), { code: 3904, message: /option WebSocket/ });
});
