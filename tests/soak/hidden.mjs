/**
 * A page that follows a channel behind another tab, with all the slowing down that browsers do to hidden pages: the
 * drivers of browsers switch that off, so Chromium is driven by its pipe here. Says "ready", then waits for a sequence
 * on its input, reads up to it, prints what it saw as one line of JSON, and stays until its input ends.
 * Run by TestSoak: node hidden.mjs ORIGIN TOKEN CHANNEL SHOWN.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [origin, token, channel, shown] = process.argv.slice(2);
const folder = await mkdtemp(join(tmpdir(), "hidden-"));
const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"];
const browser = spawn(process.env.CHROMIUM, [...flags, "--remote-debugging-pipe", `--user-data-dir=${folder}`, "about:blank"], {
  stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
});
const ended = new Promise((resolve) => browser.on("exit", resolve));
process.on("SIGTERM", () => browser.kill());
void ended.then(() => rm(folder, { recursive: true, force: true, maxRetries: 5 })).then(() => process.exit());

/** Sends a command of the DevTools protocol, to a page when there is a session, and resolves with its result. */
const send = driver(browser.stdio[3], browser.stdio[4]);

const { targetId } = await send("Target.createTarget", { url: `${origin}/healthz` });
const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
await until(() => evaluate(() => location.protocol === "http:" && document.readyState === "complete"));
await evaluate(live, { token, channel, shown });
await send("Target.createTarget", { url: "about:blank" }); // in front of it
await until(() => evaluate(() => document.visibilityState === "hidden"));
await evaluate(() => globalThis.begin());
console.log("ready");
for await (const upTo of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await evaluate((seq) => globalThis.finish(seq), Number(upTo))));
}
browser.kill();

function driver(to, from) {
  const waiting = new Map();
  let last = 0;
  let rest = "";
  from.setEncoding("utf8").on("data", (data) => {
    const messages = (rest + data).split("\0");
    rest = messages.pop();
    for (const message of messages.map((text) => JSON.parse(text))) waiting.get(message.id)?.(message);
  });
  return (method, params, session) =>
    new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, ({ result, error }) => {
        waiting.delete(id);
        if (error) reject(new Error(`${method}: ${error.message}`));
        else resolve(result);
      });
      to.write(`${JSON.stringify({ id, method, params, sessionId: session })}\0`);
    });
}

/** Runs a function in the page and resolves with what it returns. */
async function evaluate(act, argument) {
  const expression = `(${act})(${JSON.stringify(argument) ?? ""})`;
  const { result, exceptionDetails } = await send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true }, sessionId);
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value;
}

async function until(met) {
  while (!(await met())) await new Promise((resolve) => setTimeout(resolve, 100));
}

/** The page's own part. */
async function live({ token, channel, shown }) {
  const { createClient } = await import("/sdk/latido.js");
  const report = { hidden: true, timers: 0, lived: 0, states: [], after: 0, events: [] };
  let waiting = () => {};
  const client = createClient({ token });
  client.onState(({ state }) => report.states.push(state));
  const followed = client.channel(channel);
  followed.on("*", ({ event, seq, from, key, at, data }) => {
    if (seq) report.events.push({ event, seq, from, key, at, data });
    waiting();
  });
  report.after = (await followed.subscribe()).seq;
  await client.channel(shown).subscribe({ presence: true });
  await client.channel(shown).track({ as: "tab" });
  globalThis.begin = () => {
    const began = performance.now();
    document.addEventListener("visibilitychange", () => (report.hidden &&= document.visibilityState === "hidden"));
    setInterval(() => {
      report.timers++;
      report.lived = (performance.now() - began) / 1000;
    }, 100);
  };
  globalThis.finish = (upTo) =>
    new Promise((resolve) => {
      waiting = () => {
        if (upTo <= report.after || report.events.at(-1)?.seq >= upTo) resolve(report);
      };
      waiting();
    });
}
