import assert from "node:assert/strict";
import { test } from "node:test";
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

test("a refused history rejects with the server's code", async (t) => {
  t.mock.method(globalThis, "fetch", async () => Response.json({ code: 4030, reason: "forbidden", retry: false }, { status: 403 }));
  const client = createClient(new FakeServer().options);
  await assert.rejects(client.channel("room:1").history().next(), { code: 4030, reason: "forbidden", retry: false });
  client.close();
});
