import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { createClient } from "../src/index.ts";
import { FakeServer, settle } from "./fake_server.ts";

class FakeDocument extends EventTarget {
  visibilityState = "visible";
}

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const stored = new Map<string, string>();
  const sessionStorage = {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => stored.set(key, value),
    removeItem: (key: string) => stored.delete(key),
  };
  Object.assign(globalThis, { window: new EventTarget(), document: new FakeDocument(), sessionStorage });
});

const backoff = { base: 20_000, random: () => 0.9 };

test("the network coming back ends the waiting, and a dial over the old one", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  const first = await server.welcome();
  first.break();
  window.dispatchEvent(new Event("online"));
  const second = await server.accept();
  window.dispatchEvent(new Event("online"));
  assert.equal(client.state, "connecting");
  assert.equal(second.closedWith, 3907);
  await server.welcome();
  assert.equal(client.state, "connected");
  mock.timers.tick(20_000);
  await settle();
  assert.equal(server.dials, 3, "no forgotten timer dials again");
});

test("a user who looks at the page again need not wait", async () => {
  const server = new FakeServer();
  createClient({ ...server.options, backoff });
  (await server.welcome()).break();
  document.dispatchEvent(new Event("visibilitychange"));
  await server.welcome();
});

for (const [target, event] of [["document", "visibilitychange"], ["document", "resume"], ["window", "pageshow"], ["window", "online"]] as const) {
  test(`a link is asked whether it lives on ${event}, and left soon when it does not`, async () => {
    const server = new FakeServer();
    const client = createClient({ ...server.options, backoff });
    const line = await server.welcome();
    globalThis[target].dispatchEvent(new Event(event));
    line.ok(await line.next("probe"));
    mock.timers.tick(10_000);
    assert.equal(client.state, "connected");
    globalThis[target].dispatchEvent(new Event(event));
    await line.next("probe");
    mock.timers.tick(3_999);
    assert.equal(client.state, "connected");
    mock.timers.tick(1);
    assert.equal(client.state, "connecting");
    assert.equal(line.closedWith, 3906);
  });
}

test("a link that slept for too long is left at once", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  await server.welcome();
  const { now } = Date;
  Date.now = () => now() + 3_600_000; // no timer has run meanwhile
  document.dispatchEvent(new Event("visibilitychange"));
  Date.now = now;
  assert.equal(client.state, "connecting");
});

test("a page that is left sends nothing and continues its session when it is loaded again", async () => {
  const server = new FakeServer();
  createClient(server.options);
  const line = await server.welcome({ session: "mine" });
  window.dispatchEvent(new Event("pagehide"));
  assert.deepEqual(await line.idle(), []);
  assert.equal(line.closedWith, undefined);
  createClient(server.options);
  assert.equal((await server.welcome()).hello?.["session"], "mine");
});

test("a closed client no longer listens to the page", async () => {
  const server = new FakeServer();
  const client = createClient(server.options);
  await server.welcome();
  client.close();
  window.dispatchEvent(new Event("online"));
  await settle();
  assert.equal(server.dials, 1);
});
