/**
 * First in, first out on every channel, whatever the line and the server do. `ORDER_RUNS=10000 npm test` tries longer;
 * a run that fails names its seed, and `ORDER_SEED` repeats it.
 */
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { createClient, Refusal } from "../src/index.ts";
import { UnrulyServer } from "./unruly_server.ts";

const runs = Number(process.env["ORDER_RUNS"] ?? 1_000);
const only = process.env["ORDER_SEED"];

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"] }));
afterEach(() => mock.timers.reset());

/** What was given to the outbox, and what became of it. */
interface Made {
  channel: string;
  key: string;
  volatile: boolean;
  outcome?: "stored" | Refusal;
  seq?: number;
}

test(`what is published is stored once and in order (${only === undefined ? `${runs} runs` : `seed ${only}`})`, { timeout: 600_000 }, async () => {
  const seeds = only === undefined ? Array.from({ length: runs }, (_, run) => run + 1) : [Number(only)];
  for (const seed of seeds) {
    const server = new UnrulyServer(seed);
    const made = await publishAll(server);
    judge(server, made, `seed ${seed}`);
  }
});

async function publishAll(server: UnrulyServer): Promise<Made[]> {
  const { random } = server;
  const client = createClient({ ...server.options, backoff: { base: 50, cap: 500, random } });
  const made: Made[] = [];
  // One that is subscribed, one that is not, and one that stores nothing.
  for (const name of ["room:1", "app:live"]) client.channel(name).subscribe().catch(assert.fail);
  const channels = ["room:1", "room:2", "app:live"];
  for (let nth = 0; nth < 40; nth++) {
    const channel = channels[Math.floor(random() * channels.length)] ?? "";
    const one: Made = { channel, key: `${random() < 0.05 ? "bad" : "key"}${nth}`, volatile: random() < 0.15 };
    made.push(one);
    const { key, volatile } = one;
    client.channel(channel).publish("new_message", nth, { key, volatile }).then(
      ({ seq }) => Object.assign(one, { outcome: "stored", seq }),
      (why: Refusal) => (one.outcome = why),
    );
    if (random() < 0.7) await pass(random() * 200);
    if (server.happens(0.05)) server.break();
  }
  await pass(500);
  server.unruly = false;
  for (let waited = 0; client.pending > 0; waited++) {
    assert.ok(waited < 200, `${client.pending} have no outcome`);
    await pass(500);
  }
  client.close();
  await pass(500);
  return made;
}

/** Lets mocked time go by, in steps small enough for what happens in it to take effect. */
async function pass(milliseconds: number): Promise<void> {
  for (let left = milliseconds; left > 0; left -= 20) {
    mock.timers.tick(Math.min(20, Math.ceil(left)));
    for (let turn = 0; turn < 4; turn++) await undefined;
  }
}

function judge(server: UnrulyServer, made: Made[], seed: string): void {
  for (const channel of ["room:1", "room:2", "app:live"]) {
    const mine = made.filter((one) => one.channel === channel);
    // Who is volatile and was given up may still arrive, at any time.
    const givenUp = mine.filter(({ volatile, outcome }) => volatile && outcome !== "stored").map(({ key }) => key);
    const all = [...server.log, ...server.delivered].filter((stored) => stored.channel === channel).map(({ key }) => key);
    const there = all.filter((key) => !givenUp.includes(key));
    const order = mine.map(({ key }) => key).filter((key) => there.includes(key));
    assert.deepEqual(there, order, `${seed}, ${channel}: once each, in the order in which they were made`);
    for (const { key, volatile, outcome, seq } of mine) {
      const what = `${seed}, ${channel} ${key}: ${outcome}`;
      assert.ok(outcome !== undefined, `${what} has no outcome`);
      if (outcome === "stored") {
        assert.ok(there.includes(key), what);
        if (channel !== "app:live") assert.equal(seq, server.log.find((stored) => stored.channel === channel && stored.key === key)?.seq, what);
      } else if (key.startsWith("bad")) {
        assert.ok([4003, 3903, 3902, 4505].includes(outcome.code), what);
      } else if (!volatile && channel !== "app:live") {
        assert.fail(`${what} was given up`);
      }
    }
  }
}
