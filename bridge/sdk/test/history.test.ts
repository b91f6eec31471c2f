import assert from "node:assert/strict";
import { test } from "node:test";
import { addressOf } from "../src/address.ts";
import { createClient } from "../src/index.ts";
import { FakeServer } from "./fake_server.ts";

test("history is read page by page, as far as it is wanted", async (t) => {
  const asked: string[] = [];
  t.mock.method(globalThis, "fetch", async (url: URL, init: RequestInit) => {
    assert.equal(new Headers(init.headers).get("Authorization"), "Bearer secret");
    asked.push(url.pathname + url.search);
    const from = Number(url.searchParams.get("since"));
    const events = [from + 1, from + 2].filter((seq) => seq <= 3).map((seq) => ({ event: "new_message", seq, data: seq }));
    return Response.json({ position: { epoch: "e1", seq: from + events.length }, events });
  });
  const client = createClient(new FakeServer().options);
  const read: unknown[] = [];
  for await (const { channel, seq, replayed } of client.channel("room:1").history({ page: 2 })) read.push([channel, seq, replayed]);
  assert.deepEqual(read, [["room:1", 1, true], ["room:1", 2, true], ["room:1", 3, true]]);
  assert.deepEqual(asked, [
    "/api/channels/room%3A1/events?since=0&limit=2",
    "/api/channels/room%3A1/events?since=2&limit=2&epoch=e1",
  ]);
  client.close();
});

test("a page that is short because its events are large is not the last", async (t) => {
  const asked: unknown[] = [];
  t.mock.method(globalThis, "fetch", async (url: URL) => {
    const from = Number(url.searchParams.get("since"));
    asked.push(from);
    const events = from === 1 ? [] : [{ event: "new_message", seq: from + 1, data: "x" }]; // number 2 is a gap
    const gaps = from === 1 ? [{ from: 2, to: 2 }] : [];
    return Response.json({ position: { epoch: "e1", seq: from + 1 }, events, gaps, more: from < 3 });
  });
  const client = createClient(new FakeServer().options);
  const read: unknown[] = [];
  for await (const { seq } of client.channel("room:1").history()) read.push(seq);
  assert.deepEqual([read, asked], [[1, 3, 4], [0, 1, 2, 3]]);
  client.close();
});

test("a refused history rejects with the server's code", async (t) => {
  t.mock.method(globalThis, "fetch", async () => Response.json({ code: 4030, reason: "forbidden", retry: false }, { status: 403 }));
  const client = createClient(new FakeServer().options);
  await assert.rejects(client.channel("room:1").history().next(), { code: 4030, reason: "forbidden", retry: false });
  client.close();
});

test("history says what is missing, and gives bytes as bytes", async (t) => {
  const pages = [
    { position: { epoch: "e2", seq: 5 }, gap: { from: 2, to: 3 }, gaps: [{ from: 5, to: 5 }], events: [{ event: "e", seq: 4, encoding: "base64", data: "AP8=" }] },
    { position: { epoch: "e2", seq: 5 }, events: [] },
  ];
  t.mock.method(globalThis, "fetch", async () => Response.json(pages.shift()));
  const client = createClient(new FakeServer().options);
  const gaps: unknown[] = [];
  const read: unknown[] = [];
  const since = { epoch: "e1", seq: 1 };
  for await (const { data } of client.channel("room:1").history({ since, page: 2, onGap: (gap) => gaps.push(gap) })) read.push(data);
  assert.deepEqual(gaps, [{ from: 2, to: 3 }, { from: 5, to: 5 }]);
  assert.deepEqual(read, [Uint8Array.of(0, 255)]);
  assert.equal(pages.length, 0, "what cannot be read counts for a page, too");
  client.close();
});

for (const [what, answer] of Object.entries({ "a proxy's page": new Response("<html>", { status: 502 }), "somebody else's page": new Response("<html>") })) {
  test(`an answer that is ${what} is a refusal with a sentence`, async (t) => {
    t.mock.method(globalThis, "fetch", async () => answer.clone());
    const client = createClient(new FakeServer().options);
    await assert.rejects(client.channel("room:1").count(), { code: 3909, retry: answer.status >= 500 });
    client.close();
  });
}

test("no network is a refusal that may be tried again", async (t) => {
  t.mock.method(globalThis, "fetch", async () => Promise.reject(new TypeError("fetch failed")));
  const client = createClient(new FakeServer().options);
  await assert.rejects(client.channel("room:1").count(), { code: 3903, retry: true, message: "fetch failed" });
  client.close();
});

const addresses: [string | undefined, string, string, string][] = [
  ["https://a.test/realtime/", "", "wss://a.test/realtime/ws", "https://a.test/realtime/"],
  ["https://a.test/realtime", "", "wss://a.test/realtime/ws", "https://a.test/realtime/"],
  ["wss://a.test/realtime/ws", "", "wss://a.test/realtime/ws", "https://a.test/realtime/"],
  ["ws://a.test:8080/ws?v=1", "", "ws://a.test:8080/ws?v=1", "http://a.test:8080/"],
  ["http://a.test", "", "ws://a.test/ws", "http://a.test/"],
  [undefined, "https://a.test/x/sdk/latido.js", "wss://a.test/x/ws", "https://a.test/x/"],
  [undefined, "https://a.test/sdk/latido.js?v=2", "wss://a.test/ws", "https://a.test/"],
];

for (const [url, script, socket, http] of addresses) {
  test(`the server of ${url ?? script} is found`, () => {
    const found = addressOf(url, script);
    assert.deepEqual([found.socket.href, found.http.href], [socket, http]);
  });
}

test("an application's own bundle says nothing about the server", () => {
  assert.throws(() => addressOf(undefined, "file:///app/node_modules/latido/dist/latido.js"), { code: 3904 });
});
