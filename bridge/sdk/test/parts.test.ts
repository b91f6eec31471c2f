import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "../src/backoff.ts";
import { createKey } from "../src/key.ts";
import { Listeners } from "../src/listeners.ts";
import { Pace } from "../src/pace.ts";
import { ResumeId } from "../src/resume.ts";
import { TokenSource } from "../src/token.ts";
import { verdict } from "../src/verdict.ts";

test("pauses lie between nothing and a bound that doubles up to the cap", () => {
  const highest = new Backoff({ base: 100, cap: 1_000, random: () => 0.999 });
  assert.deepEqual([1, 2, 3, 4, 5, 6].map(() => highest.next()), [99, 199, 399, 799, 999, 999]);
  highest.reset();
  assert.equal(highest.next(), 99);
  assert.deepEqual([1, 2, 3].map(() => highest.next(400)), [199, 399, 399], "less where less is asked for");
  assert.equal(highest.next(), 799);
  const lowest = new Backoff({ random: () => 0 });
  assert.equal(lowest.next(), 0);
});

test("keys are unique, 26 characters, and sort by time", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: 1_700_000_000_000 });
  const first = createKey();
  t.mock.timers.tick(1);
  const second = createKey();
  assert.match(first, /^[0-9A-HJKMNP-TV-Z]{26}$/);
  assert.ok(first < second);
  assert.notEqual(createKey(), createKey());
});

test("close codes carry their retry rule", () => {
  const table = { 1000: "again", 1006: "again", 4001: "stop", 4010: "token", 4011: "token", 4030: "stop", 4096: "session", 4503: "again" };
  for (const [code, want] of Object.entries(table)) assert.equal(verdict(Number(code)), want, code);
});

test("a listener that throws does not keep the news from the others", (t) => {
  t.mock.method(console, "error", () => {});
  const listeners = new Listeners<string>();
  const heard: string[] = [];
  listeners.add(() => {
    throw new Error("mine");
  });
  const off = listeners.add((news) => heard.push(news));
  listeners.tell("one");
  off();
  listeners.tell("two");
  assert.deepEqual(heard, ["one"]);
});

test("a burst is let through and the rest is spread over time", (t) => {
  t.mock.timers.enable({ apis: ["Date"] });
  const pace = new Pace();
  assert.equal(pace.take(), 0, "no limit is known before the welcome");
  pace.restart(2);
  assert.deepEqual([pace.take(), pace.take(), pace.take()], [0, 0, 500]);
  t.mock.timers.tick(500);
  assert.deepEqual([pace.take(), pace.take()], [0, 500]);
  t.mock.timers.tick(1_000);
  pace.exhaust();
  assert.equal(pace.take(), 500, "the server says that nothing is left");
});

test("a duplicated tab finds no session, a reloaded one finds its own", () => {
  const storage = new FakeStorage();
  const page = new ResumeId("web", storage);
  page.keep({ session: "s1", generation: 7 });
  assert.equal(new ResumeId("web", storage.duplicate()).current, undefined);
  page.park();
  assert.equal(new ResumeId("other", storage).current, undefined);
  const reloaded = new ResumeId("web", storage);
  assert.deepEqual(reloaded.current, { session: "s1", generation: 7 });
  assert.equal(new ResumeId("web", storage).current, undefined, "taken once");
});

test("a token is asked for once, kept, and asked for again near its end", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
  let asked = 0;
  const source = new TokenSource(async () => jwt({ exp: (Date.now() + 600_000) / 1000, nth: ++asked }));
  const [first, same] = await Promise.all([source.current(), source.current()]);
  assert.equal(first, same);
  assert.equal(source.renewIn, 540_000);
  t.mock.timers.tick(539_999);
  assert.equal(await source.current(), first);
  t.mock.timers.tick(1);
  assert.notEqual(await source.current(), first);
  assert.equal(asked, 2);
  source.forget();
  await source.current();
  assert.equal(asked, 3);
});

test("a fixed or unreadable token is never renewed", async () => {
  const fixed = new TokenSource(jwt({ exp: 1 }));
  await fixed.current();
  assert.equal(fixed.renewIn, undefined);
  const opaque = new TokenSource(async () => "opaque");
  await opaque.current();
  assert.equal(opaque.renewIn, undefined);
});

test("a wrong clock does not make a flood of questions", async () => {
  const source = new TokenSource(async () => jwt({ exp: Date.now() / 1000 - 3_600 }));
  await source.current();
  assert.equal(source.renewIn, 30_000);
});

function jwt(claims: object): string {
  return `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.sig`;
}

class FakeStorage implements Storage {
  readonly #items: Map<string, string>;
  constructor(items = new Map<string, string>()) {
    this.#items = items;
  }
  get length(): number {
    return this.#items.size;
  }
  duplicate(): FakeStorage {
    return new FakeStorage(new Map(this.#items));
  }
  clear(): void {
    this.#items.clear();
  }
  getItem(key: string): string | null {
    return this.#items.get(key) ?? null;
  }
  key(index: number): string | null {
    return [...this.#items.keys()][index] ?? null;
  }
  removeItem(key: string): void {
    this.#items.delete(key);
  }
  setItem(key: string, value: string): void {
    this.#items.set(key, value);
  }
}
