/**
 * The server stands under a path of somebody else's site: the start page works there, and so does what it serves. Run
 * by TestUnderAPath with the server's origin.
 */
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { flags } from "./flags.mjs";
import { Proxy } from "./proxy.mjs";
import { Visitor } from "./visitor.mjs";

const failures = [];
const proxy = new Proxy(process.argv[2], "/company/realtime/");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, headless: true, args: flags });
try {
  const ana = await Visitor.enter(browser, await proxy.open(), "Ana", {}, failures);
  const luis = await Visitor.enter(browser, process.argv[2], "Luis", {}, failures);
  await ana.say("From under a path");
  await luis.reads("From under a path");
  await luis.page.type("#say", "And back");
  await ana.page.waitForSelector('#typing[data-anybody="true"]');
  await luis.page.press("#say", "Enter");
  await ana.reads("And back");
  assert.equal(await ana.page.getAttribute("#typing", "data-anybody"), "false", "whoever sent it types it no more");
  await ana.page.click("#cut");
  await ana.page.waitForSelector('#cut-result[data-outcome="whole"]');
  assert.deepEqual(await ana.page.evaluate(read), { count: 2, texts: ["From under a path", "And back"] });
  assert.deepEqual(proxy.strays, []);
  assert.deepEqual(failures, [], "errors in the pages");
} catch (error) {
  console.error(error.stack);
  process.exitCode = 1;
} finally {
  await browser.close();
  proxy.close();
}

/** In the page: what the client asks for over HTTP, knowing no address but that of its script. */
async function read() {
  const { createClient } = await import("./sdk/latido.js");
  const body = JSON.stringify({ user: "ana" });
  const headers = { "Content-Type": "application/json" };
  const token = () => fetch("dev/token", { method: "POST", headers, body }).then((answer) => answer.json()).then((answer) => answer.token);
  const client = createClient({ token });
  const lobby = client.channel("room:lobby");
  const texts = [];
  for await (const { event, from, data } of lobby.history({ page: 2 })) if (event === "new_message" && from !== "eco") texts.push(data.text);
  const count = await lobby.count();
  client.close();
  return { count, texts };
}
