import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { createClient, type StateChange } from "../src/index.ts";
import { FakeServer, settle } from "./fake_server.ts";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
});

const backoff = { base: 1_000, cap: 8_000, random: () => 0.5 };

test("says hello, is welcomed, and tells its states with their reasons", async () => {
  const server = new FakeServer();
  const client = createClient(server.options);
  const changes: StateChange[] = [];
  client.onState((change) => changes.push(change));
  assert.equal(client.state, "connecting");
  const line = await server.welcome();
  assert.deepEqual(line.hello, { op: "hello", token: "secret", client: "test/1", batch: true });
  assert.equal(client.state, "connected");
  assert.equal(client.me?.user, "ana");
  line.tell({ op: "degraded" });
  assert.equal(client.state, "degraded");
  line.tell({ op: "restored" });
  client.close();
  assert.equal(line.closedWith, 1000);
  assert.deepEqual(changes.map(({ state, code, reason }) => [state, code, reason]), [
    ["connected", 0, "welcome"],
    ["degraded", 0, "degraded"],
    ["connected", 0, "restored"],
    ["disconnected", 3900, "closed"],
  ]);
});

test("answers pings and reads several frames from one message", async () => {
  const server = new FakeServer();
  const client = createClient(server.options);
  const line = await server.welcome();
  line.tell({ op: "ping" }, { op: "degraded" });
  assert.deepEqual(await line.idle(), ["pong"]);
  assert.equal(client.state, "degraded");
});

test("comes back after a pause with its session", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const first = await server.welcome({ session: "mine", generation: 7 });
  first.break();
  assert.equal(client.state, "connecting");
  mock.timers.tick(499);
  await settle();
  assert.equal(server.dials, 1);
  mock.timers.tick(1);
  const second = await server.welcome();
  assert.equal(second.hello?.["session"], "mine");
  assert.equal(second.hello?.["generation"], 7, "so that it is the newer one");
});

/** How long it takes until somebody dials, in milliseconds, in steps of 50. */
async function pauseOf(server: FakeServer): Promise<number> {
  const before = server.dials;
  for (let waited = 0; ; waited += 50) {
    await settle();
    if (server.dials > before) return waited;
    assert.ok(waited <= 60_000, "nobody dials");
    mock.timers.tick(50);
  }
}

test("pauses grow while links die young, within 4 s, and start small after a good one", async () => {
  const server = new FakeServer();
  createClient({ ...server.options, backoff });
  for (const pause of [500, 1_000, 2_000, 2_000, 2_000]) {
    (await server.welcome()).break();
    assert.equal(await pauseOf(server), pause);
  }
  const good = await server.welcome();
  mock.timers.tick(10_000);
  good.break();
  assert.equal(await pauseOf(server), 500);
});

test("pauses grow up to the cap while nobody is welcomed, however long ago that was", async () => {
  for (const welcomed of [false, true]) {
    mock.timers.setTime(1_700_000_000_000);
    const server = new FakeServer();
    createClient({ ...server.options, backoff: { random: () => 0.5 } });
    if (welcomed) {
      const good = await server.welcome();
      mock.timers.tick(20_000);
      good.break();
      assert.equal(await pauseOf(server), 250);
    }
    const pauses: number[] = [];
    for (let nth = 0; nth < 8; nth++) {
      (await server.accept()).break();
      pauses.push(await pauseOf(server));
    }
    const doubled = welcomed ? [500, 1_000, 2_000, 4_000, 8_000, 10_000] : [250, 500, 1_000, 2_000, 4_000, 8_000];
    assert.deepEqual(pauses, [...doubled, 10_000, 10_000]);
  }
});

test("no pause after a welcome comes near the grace, however long links live", async () => {
  for (let seed = 1; seed <= 5; seed++) {
    let state = seed * 7_919;
    const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    const server = new FakeServer();
    const client = createClient({ ...server.options, backoff: { random } });
    let young = 0;
    for (let nth = 0; nth < 40; nth++) {
      const unwelcome = random() < 0.1;
      const line = unwelcome ? await server.accept() : await server.welcome();
      const life = 500 + Math.floor(random() * 14_500);
      if (!unwelcome) mock.timers.tick(life);
      line.tell({ op: "ping" });
      line.break();
      if (!unwelcome) young = life >= 10_000 ? 0 : young + 1;
      const pause = await pauseOf(server);
      if (!unwelcome) assert.ok(pause <= 5_000, `seed ${seed}: ${pause} ms after ${life} ms`);
      if (!unwelcome && young === 0) assert.ok(pause <= 500, `seed ${seed}: ${pause} ms after a good link`);
    }
    client.close();
  }
});

test("a silent server is left, and not said goodbye to", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const line = await server.welcome({ ping: 5 });
  mock.timers.tick(14_999);
  line.tell({ op: "ping" });
  mock.timers.tick(14_999);
  assert.equal(client.state, "connected");
  mock.timers.tick(1);
  assert.equal(client.state, "connecting");
  assert.equal(line.closedWith, 3906, "1000 would take our members away");
});

test("a dial that leads nowhere is given up", async () => {
  const server = new FakeServer();
  createClient({ ...server.options, backoff });
  const line = await server.accept();
  mock.timers.tick(10_000);
  assert.equal(line.closedWith, 3906);
  mock.timers.tick(500);
  await server.accept();
});

test("a draining server says when to return", async () => {
  const server = new FakeServer();
  createClient({ ...server.options, backoff });
  const line = await server.welcome();
  line.tell({ op: "drain", return_in: 3_000 });
  mock.timers.tick(1_000);
  line.break(4503, "draining");
  mock.timers.tick(1_999);
  await settle();
  assert.equal(server.dials, 1);
  mock.timers.tick(1);
  await server.welcome();
});

test("a draining server that does not close is left when the time has come", async () => {
  const server = new FakeServer();
  createClient({ ...server.options, backoff });
  const line = await server.welcome();
  line.tell({ op: "drain", return_in: 3_000 });
  mock.timers.tick(3_000);
  await server.welcome();
  assert.equal(line.closedWith, 4503);
});

test("a refusal that trying again cannot mend ends everything", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const room = client.channel("room:1");
  const subscribed = assert.rejects(room.subscribe(), { code: 4030, reason: "forbidden", retry: false });
  const published = assert.rejects(room.publish("new_message", { text: "hi" }), { code: 4030 });
  const line = await server.accept();
  line.break(4030, "forbidden");
  await Promise.all([subscribed, published]);
  assert.equal(client.state, "disconnected");
  mock.timers.tick(60_000);
  await settle();
  assert.equal(server.dials, 1);
  client.open();
  await server.welcome();
});

test("a session that another connection took is not taken back", async () => {
  const server = new FakeServer();
  createClient({ ...server.options, backoff });
  const line = await server.welcome({ session: "mine" });
  line.break(4096, "replaced");
  mock.timers.tick(500);
  const next = await server.welcome();
  assert.equal(next.hello?.["session"], undefined);
});

test("an address that the browser forbids ends everything with its reason", async () => {
  class Forbidden {
    constructor() {
      throw new Error("insecure");
    }
  }
  const client = createClient({ ...new FakeServer().options, WebSocket: Forbidden as unknown as typeof WebSocket });
  await assert.rejects(client.channel("room:1").publish("new_message"), { code: 3904, reason: "address", message: "insecure" });
  assert.equal(client.state, "disconnected");
});
