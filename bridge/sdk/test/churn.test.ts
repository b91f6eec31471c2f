/**
 * Parts of an application come and go at will, on a line that breaks: every promise settles, and in the end the server
 * knows what was last wished. A run that fails names its seed, and `CHURN_SEED` repeats it.
 */
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { createClient, type Channel } from "../src/index.ts";
import { UnrulyServer } from "./unruly_server.ts";

const runs = Number(process.env["CHURN_RUNS"] ?? 500);
const only = process.env["CHURN_SEED"];

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"] }));
afterEach(() => mock.timers.reset());

test(`every promise of who comes and goes settles (${only === undefined ? `${runs} runs` : `seed ${only}`})`, { timeout: 600_000 }, async () => {
  const seeds = only === undefined ? Array.from({ length: runs }, (_, run) => run + 1) : [Number(only)];
  for (const seed of seeds) await churn(new UnrulyServer(seed), `seed ${seed}`);
});

async function churn(server: UnrulyServer, seed: string): Promise<void> {
  const { random } = server;
  const client = createClient({ ...server.options, backoff: { base: 50, cap: 500, random } });
  const name = random() < 0.7 ? "room:1" : "app:live";
  const handles = Array.from({ length: 1 + Math.floor(random() * 3) }, () => client.channel(name));
  const restless = random() < 0.3; // subscribes again as soon as it hears that it is out
  const pending = new Map<number, string>();
  const history: string[] = [];
  const tracking: { handle: Channel; meta: number }[] = [];
  const forget = (handle: Channel): void => void tracking.splice(0, tracking.length, ...tracking.filter((one) => one.handle !== handle));
  let made = 0;
  const keep = (what: string, promise: Promise<unknown>): void => {
    const id = made++;
    history.push(what);
    pending.set(id, what);
    const done = (): boolean => pending.delete(id);
    promise.then(done, done);
  };
  server.forbids = random() < 0.3 ? 0.1 : 0;
  let again = 20;
  handles.forEach((handle, nth) => {
    if (restless) handle.onState(({ state }) => state === "unsubscribed" && again-- > 0 && keep(`${nth} subscribe again`, handle.subscribe()));
  });

  const act = (): void => {
    const nth = Math.floor(random() * handles.length);
    const handle = handles[nth];
    if (!handle) return;
    const wishes = [{}, { presence: true }, { last: 3 }];
    switch (Math.floor(random() * 20)) {
      case 0: case 1: case 2: case 3: case 4: case 5:
        return keep(`${nth} subscribe`, handle.subscribe(wishes[Math.floor(random() * wishes.length)]));
      case 6: case 7: case 8: case 9: case 10: case 11:
        forget(handle);
        return keep(`${nth} unsubscribe`, handle.unsubscribe());
      case 12: case 13: case 14:
        forget(handle);
        if (client.state !== "disconnected") tracking.push({ handle, meta: made });
        return keep(`${nth} track`, handle.track(made));
      case 15:
        forget(handle);
        return keep(`${nth} untrack`, handle.untrack());
      case 16: case 17:
        history.push("break");
        return server.break();
      case 18:
        return void server.store(name, `key${made++}`);
      case 19:
        if (random() < 0.7) return;
        history.push("close and open");
        client.close();
        tracking.length = 0;
        return client.open();
    }
  };
  for (let nth = 0; nth < 40; nth++) {
    act();
    if (random() < 0.4) await pass(random() * 150);
  }
  server.unruly = false;
  for (let waited = 0; waited < 20 && (waited < 4 || pending.size > 0); waited++) await pass(500);
  const story = `${seed}: ${history.join(", ")}`;
  assert.deepEqual([...pending.values()], [], story);
  const wanted = handles.some(({ state }) => state !== "unsubscribed");
  const { subscribed, metas } = server.known(name);
  assert.equal(subscribed, wanted, story);
  assert.deepEqual(metas, tracking.slice(-1).map(({ meta }) => meta), story);
  client.close();
  assert.ok(handles.every(({ state }) => state === "unsubscribed"), story);
  await pass(500);
}

/** Lets mocked time go by, in steps small enough for what happens in it to take effect. */
async function pass(milliseconds: number): Promise<void> {
  for (let left = milliseconds; left > 0; left -= 20) {
    mock.timers.tick(Math.min(20, Math.ceil(left)));
    for (let turn = 0; turn < 4; turn++) await undefined;
  }
}
