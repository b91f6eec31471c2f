/**
 * The promise, seen from the chair: whoever drops and comes back misses nothing, sees nothing twice, and nobody
 * flickers. Run by TestBrowser with the server's origin; ends with an exit code other than 0 when the promise is broken.
 */
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { flags } from "./flags.mjs";
import { Line } from "./line.mjs";
import { Visitor } from "./visitor.mjs";

const origin = process.argv[2];
const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

const failures = [];
const line = new Line(origin);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, headless: true, args: flags });
try {
  await run();
} catch (error) {
  // The stack alone: whole objects of the browser's say nothing and fill screens.
  console.error(error.stack);
  process.exitCode = 1;
} finally {
  await browser.close();
  line.close();
}

async function run() {
  const ana = await Visitor.enter(browser, await line.open(), "Ana", {}, failures);
  const luis = await Visitor.enter(browser, origin, "Luis", { colorScheme: "dark" }, failures);
  const eva = await Visitor.enter(browser, origin, "Eva", phone, failures);
  await step("three visitors see each other", () => meet(ana, luis, eva));
  await step("they talk, and see who types and who drives", () => talk(ana, luis, eva));
  await luis.watchPeople();
  await step("a broken connection costs nothing", () => breaks(ana, luis));
  await step("neither does a silent one", () => fallsSilent(ana, luis));
  await step("a reload continues the member", () => reloads(ana, luis));
  await step("a duplicated tab is one more session of the same person", () => duplicates(ana, luis));
  await step("the page's own experiment finds nothing missing", () => experiment(ana));
  await step("whoever is really gone is gone, and only they", () => leaves(ana, luis, eva));
  await step("everybody read the same, once, in order", () => compare(ana, luis));
  assert.deepEqual(failures, [], "errors in the pages");
}

async function step(what, act) {
  const began = Date.now();
  try {
    await act();
  } catch (error) {
    for (const [index, context] of browser.contexts().entries()) {
      await context.pages()[0]?.screenshot({ path: `artifacts/failed-${index}.png` });
    }
    error.message = `${what}: ${error.message}`;
    throw error;
  }
  console.log(`${what} (${Date.now() - began} ms)`);
}

async function meet(ana, luis, eva) {
  for (const visitor of [ana, luis, eva]) {
    for (const user of ["ana", "luis", "eva"]) await visitor.sees(user);
  }
}

async function talk(ana, luis, eva) {
  await ana.say("Is anybody free near the park?");
  await luis.reads("Is anybody free near the park?");
  await luis.say("Two streets away, just crossing Avenida del Pulso.");
  await ana.reads("Two streets away, just crossing Avenida del Pulso.");
  await eva.say("I can take it too.");
  for (const driver of [luis, eva]) await driver.page.click("#drive");
  for (const user of ["luis", "eva"]) {
    await ana.note(user, "driving");
    await ana.page.waitForFunction((who) => document.querySelector(`.car[data-user="${who}"]`), user);
  }
  // A trail of some length, for the pictures.
  await ana.page.waitForFunction(() => [...document.querySelectorAll(".trail")].every((trail) => trail.points.numberOfItems > 8));
  await luis.page.type("#say", "on my way");
  await ana.page.waitForSelector('#typing[data-anybody="true"]');
  await ana.picture("light");
  await luis.picture("dark");
  await eva.page.screenshot({ path: "artifacts/mobile.png", fullPage: true });
  await luis.page.fill("#say", "");
}

async function breaks(ana, luis) {
  line.break();
  await ana.state("connecting");
  for (const text of ["You cannot read this yet", "nor this", "nor this, Ana"]) {
    await luis.say(text);
    await luis.reads(text);
  }
  await ana.say("Written without a connection");
  assert.deepEqual(await ana.waiting(), ["Written without a connection"]);
  line.mend();
  await ana.state("connected");
  for (const text of ["You cannot read this yet", "nor this", "nor this, Ana", "Written without a connection"]) {
    await ana.reads(text);
    await luis.reads(text);
  }
  await ana.picture("returned");
}

/** Nobody is told that the line is dead; what the page sends goes nowhere. Then its system says that the network is back. */
async function fallsSilent(ana, luis) {
  line.hush();
  await ana.page.context().setOffline(true);
  await ana.say("Sent into nothing");
  await luis.say("Ana hears nothing of this");
  await luis.reads("Ana hears nothing of this");
  assert.deepEqual(await ana.waiting(), ["Sent into nothing"]);
  line.mend();
  await ana.page.context().setOffline(false);
  for (const text of ["Ana hears nothing of this", "Sent into nothing"]) {
    await ana.reads(text);
    await luis.reads(text);
  }
  await ana.state("connected");
}

async function reloads(ana, luis) {
  await ana.page.reload();
  await ana.entered();
  await ana.say("Reloaded");
  await luis.reads("Reloaded");
  assert.equal(await luis.page.$('#people [data-user="ana"] .person-note'), null, "the reload is not a second session");
}

/** Opened by the page, a tab gets a copy of its storage, as a duplicated one does. */
async function duplicates(ana, luis) {
  const opened = ana.page.waitForEvent("popup");
  await ana.page.evaluate(() => void window.open(location.href));
  const copy = new Visitor(await opened, "Ana");
  await copy.entered();
  await luis.note("ana", "2 tabs");
  await ana.state("connected");
  await copy.say("From the other tab");
  await ana.reads("From the other tab");
  await copy.page.close();
}

async function experiment(ana) {
  await ana.page.click("#cut");
  await ana.state("connecting");
  await ana.page.waitForSelector('#cut-result[data-outcome="whole"]');
  const replayed = Number(await ana.page.getAttribute("#cut-result", "data-replayed"));
  assert.ok(replayed >= 3, `${replayed} events were replayed`);
}

/** Eva's place expires a while after she closed the page; had Ana's been lost to a drop, it would have expired before. */
async function leaves(ana, luis, eva) {
  await eva.page.close();
  await luis.missesSight("eva");
  await luis.page.waitForFunction(() => !document.querySelector('#people [data-user="ana"] .person-note'));
  assert.deepEqual((await luis.people()).sort(), ["ana", "luis"]);
  for (const shown of await luis.peopleShown()) {
    assert.ok(shown.includes("ana") && shown.includes("luis"), `flicker: for a moment only ${shown} were here`);
  }
  await ana.sees("luis");
}

async function compare(ana, luis) {
  const [read, wrote] = [await ana.conversation(), await luis.conversation()];
  assert.deepEqual(read, wrote);
  assert.equal(new Set(read.map(({ text }) => text)).size, read.length, "a message stands there twice");
  for (const [index, { seq }] of read.entries()) assert.ok(index === 0 || seq > read[index - 1].seq, `order at ${seq}`);
  assert.deepEqual(await ana.waiting(), []);
}
