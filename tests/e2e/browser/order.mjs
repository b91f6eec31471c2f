/**
 * What a page publishes is stored once and in order, although its line breaks again and again and another session of
 * the same user takes its share of what the user may send. Run by TestOrder with the server's origin.
 */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { chromium } from "playwright-core";
import { flags } from "./flags.mjs";
import { Line } from "./line.mjs";
import { patience } from "./visitor.mjs";

const each = 120;
const rooms = ["room:one", "room:two"];
let seed = 20_260_301;
const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;

const line = new Line(process.argv[2]);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, headless: true, args: flags });
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(patience);
  await page.goto(`${await line.open()}/healthz`);
  await page.evaluate(begin, { rooms, each });
  let breaks = 0;
  for (; await page.evaluate(() => window.pending() > 0); breaks++) {
    await pause(200 + random() * 600);
    line.break();
    await pause(random() * 400);
    line.mend();
  }
  const { refused, stored } = await page.evaluate(end, rooms);
  console.log(`${breaks} breaks`);
  assert.deepEqual(refused, []);
  const made = Array.from({ length: each }, (_, nth) => nth);
  for (const room of rooms) assert.deepEqual(stored[room], made, room);
} catch (error) {
  console.error(error.stack);
  process.exitCode = 1;
} finally {
  await browser.close();
  line.close();
}

/** In the page: everything is given to the client at once. */
async function begin({ rooms, each }) {
  const { createClient } = await import("/sdk/latido.js");
  const body = JSON.stringify({ user: "ana" });
  const answer = await fetch("/dev/token", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  const { token } = await answer.json();
  const backoff = { base: 100, cap: 500 };
  const [client, other] = [createClient({ token, backoff }), createClient({ token, backoff })];
  window.client = client;
  window.pending = () => client.pending;
  window.refused = [];
  for (const room of [...rooms, "room:other"]) await client.channel(room).call("open", { members: [], public: true });
  await client.channel(rooms[0]).subscribe(); // and not the other
  for (let nth = 0; nth < each; nth++) {
    for (let noise = 0; noise < 3; noise++) other.channel("room:other").publish("new_message", { text: "noise" }).catch(() => {});
    for (const room of rooms) {
      const text = String(nth);
      client.channel(room).publish("new_message", { text }).catch((why) => window.refused.push(`${room} ${text}: ${why.message}`));
    }
  }
}

async function end(rooms) {
  const stored = {};
  for (const room of rooms) {
    stored[room] = [];
    for await (const { event, data } of window.client.channel(room).history()) {
      if (event === "new_message") stored[room].push(Number(data.text));
    }
  }
  return { refused: window.refused, stored };
}
