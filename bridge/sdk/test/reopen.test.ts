import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { createClient, type Client, type State } from "../src/index.ts";
import { FakeServer, settle, type FakeLine } from "./fake_server.ts";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
});

const backoff = { base: 1_000, cap: 8_000, random: () => 0.5 };

/** Has `act` done once, when the client is for the first time in this state. */
function once(client: Client, state: State, act: () => void): void {
  const off = client.onState((change) => {
    if (change.state !== state) return;
    off();
    act();
  });
}

/** Checks that there is one living socket, after so many, and that everything works. */
async function works(client: Client, server: FakeServer, line: FakeLine, dials: number): Promise<void> {
  assert.equal(client.state, "connected");
  assert.equal(client.error, undefined);
  const receipt = client.channel("room:9").publish("note", {});
  line.ok(await line.next("publish"), { seq: 1 });
  await receipt;
  mock.timers.tick(8_000);
  await settle();
  assert.equal(server.dials, dials);
}

const ends: Record<string, (client: Client, line: FakeLine) => void> = {
  "the application closes": (client) => client.close(),
  "the server refuses": (_, line) => line.break(4030, "forbidden"),
};

for (const [name, end] of Object.entries(ends)) {
  test(`open() by who hears of the end: ${name}`, async () => {
    const server = new FakeServer();
    const client = createClient({ ...server.options, backoff });
    const line = await server.welcome();
    once(client, "disconnected", () => {
      client.open();
      client.open();
    });
    const states: State[] = [];
    client.onState(({ state }) => states.push(state));
    end(client, line);
    assert.equal(client.state, "connecting");
    const next = await server.welcome();
    assert.deepEqual(states, ["disconnected", "connecting", "connected"]);
    await works(client, server, next, 2);
  });

  test(`open() by whose publish is ended: ${name}`, async () => {
    const server = new FakeServer();
    const client = createClient({ ...server.options, backoff });
    const line = await server.welcome();
    const receipt = client.channel("room:1").publish("note", {}).catch(() => client.open());
    await line.next("publish");
    end(client, line);
    await receipt;
    await works(client, server, await server.welcome(), 2);
  });
}

test("close() and open() by who hears of a broken link: one more socket", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const line = await server.welcome();
  once(client, "connecting", () => {
    client.close();
    client.open();
    client.open();
  });
  line.break();
  await works(client, server, await server.welcome(), 2);
});

test("close() by who hears that it begins: no socket", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  await server.welcome();
  client.close();
  once(client, "connecting", () => client.close());
  client.open();
  assert.equal(client.state, "disconnected");
  mock.timers.tick(8_000);
  await settle();
  assert.equal(server.dials, 1);
});

test("close() by who hears of the welcome: nothing goes on", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const ended = assert.rejects(client.channel("room:1").subscribe(), { reason: "closed" });
  once(client, "connected", () => client.close());
  const line = await server.welcome();
  await ended;
  assert.equal(line.closedWith, 1000);
  assert.deepEqual(await line.idle(), []);
});

test("open() while it comes back changes nothing", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  (await server.welcome()).break();
  client.open();
  mock.timers.tick(500);
  client.open();
  const line = await server.accept();
  client.open();
  await line.next("hello");
  line.welcome();
  client.open();
  await works(client, server, line, 2);
});

test("a subscription's listener that closes and opens as the link breaks: one more socket", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const room = client.channel("room:1");
  void room.subscribe().catch(() => {});
  const line = await server.welcome();
  line.ok(await line.next("subscribe"), {});
  await settle();
  let done = false;
  const off = room.onState(() => {
    if (done) return;
    done = true;
    client.close();
    client.open();
  });
  line.break();
  off();
  assert.ok(done);
  await works(client, server, await server.welcome(), 2);
});
