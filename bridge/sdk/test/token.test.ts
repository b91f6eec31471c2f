import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { createClient } from "../src/index.ts";
import { FakeServer, settle } from "./fake_server.ts";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
});

const backoff = { base: 1_000, random: () => 0.5 };

/** A token function whose tokens last ten minutes and are numbered. */
function tokens(): () => Promise<string> {
  let nth = 0;
  return async () => {
    const claims = { exp: (Date.now() + 600_000) / 1000 };
    return `${++nth}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.sig`;
  };
}

const nth = (token: unknown): string => String(token).split(".")[0] ?? "";

test("replaces its token in place before the end", async () => {
  const server = new FakeServer();
  createClient({ ...server.options, token: tokens() });
  const line = await server.welcome({ ping: 3_600 });
  for (const want of ["2", "3"]) {
    mock.timers.tick(540_000);
    const request = await line.next("token");
    assert.equal(nth(request["token"]), want);
    line.ok(request);
    await settle();
  }
});

test("an ended token is replaced at once and the session goes on", async () => {
  const server = new FakeServer();
  createClient({ ...server.options, token: tokens(), backoff });
  const line = await server.welcome({ session: "mine" });
  line.break(4011, "token_expired");
  const next = await server.welcome();
  assert.equal(nth(next.hello?.["token"]), "2");
  assert.equal(next.hello?.["session"], "mine");
});

test("a token that is refused again after replacement is refused for good", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, token: tokens(), backoff });
  (await server.accept()).break(4010, "unauthenticated");
  (await server.accept()).break(4010, "unauthenticated");
  assert.equal(client.state, "disconnected");
});

test("a fixed token that ended cannot be replaced", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, backoff });
  (await server.welcome()).break(4011, "token_expired");
  assert.equal(client.state, "disconnected");
});

test("a token function that fails is asked again", async () => {
  const server = new FakeServer();
  let asked = 0;
  const token = async (): Promise<string> => {
    if (++asked < 3) throw new Error("offline");
    return "late";
  };
  createClient({ ...server.options, token, backoff });
  await settle();
  mock.timers.tick(500);
  await settle();
  mock.timers.tick(1_000);
  const line = await server.welcome();
  assert.equal(line.hello?.["token"], "late");
});

test("a client that was closed asks for a token when it opens again", async () => {
  const server = new FakeServer();
  const client = createClient({ ...server.options, token: tokens() });
  await server.welcome();
  client.close();
  client.open();
  assert.equal(nth((await server.welcome()).hello?.["token"]), "2");
});

test("a token that was asked for before the client was closed is not kept", async () => {
  const server = new FakeServer();
  const given: ((token: string) => void)[] = [];
  const client = createClient({ ...server.options, token: () => new Promise<string>((resolve) => given.push(resolve)) });
  await settle();
  client.close();
  client.open();
  await settle();
  given[1]?.("hers");
  given[0]?.("his");
  assert.equal((await server.welcome()).hello?.["token"], "hers");
  client.close();
});
