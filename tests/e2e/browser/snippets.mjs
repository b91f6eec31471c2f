/**
 * Runs what the README and the start page tell people to copy, as it stands. Run by TestSnippets with the server's
 * origin and the README's path; ends with an exit code other than 0 when something of it does not work.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { flags } from "./flags.mjs";
import { patience, Visitor } from "./visitor.mjs";

const [origin, readme] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, headless: true, args: flags });
try {
  await copiedFromReadme();
  await copiedFromStartPage();
} catch (error) {
  console.error(error.stack);
  process.exitCode = 1;
} finally {
  await browser.close();
}

/** The README's pieces of JavaScript make one program, on a page with the two elements it speaks of. */
async function copiedFromReadme() {
  const text = await readFile(readme, "utf8");
  const blocks = [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code);
  assert.ok(blocks.length >= 2, "the README shows how to connect, and people");
  const page = await pageRunning(blocks.join("\n"));
  assert.deepEqual(page.heard.sort(), ["ana hola", "eva offline", "luis offline"], "what the README's program prints");
  await page.context.close();
}

/** What the start page shows behind "Show the code": one tab each. */
async function copiedFromStartPage() {
  const failures = [];
  const ana = await Visitor.enter(browser, origin, "Eva", {}, failures); // opens the lobby
  await ana.page.click("#show-code");
  const shown = async (tab) => {
    await ana.page.click(`[data-snippet="${tab}"]`);
    return ana.page.textContent("#code");
  };
  const page = await pageRunning(await shown("js"));
  assert.deepEqual(page.heard, ["ana hola"], "what the start page's program prints");
  await page.context.close();
  await ana.reads("hola");
  const { stdout } = await promisify(execFile)("bash", ["-euo", "pipefail", "-c", await shown("curl")]);
  const stored = stdout.match(/"text":"hola"/g) ?? [];
  assert.equal(stored.length, 2, `curl reads what both have published: ${stdout}`);
  assert.deepEqual(failures, [], "errors in the page");
}

/** Runs a program as a module on a page of the server's, until its last line is done and something was heard of it. */
async function pageRunning(program) {
  const context = await browser.newContext();
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  const heard = [];
  const ended = new Promise((resolve, reject) => {
    const look = async () => {
      if (heard.length > 0 && (await page.evaluate(() => window.done).catch(() => false))) resolve();
    };
    page.on("pageerror", reject);
    page.on("console", (message) => {
      if (message.type() === "log") heard.push(message.text());
      void look();
    });
    setTimeout(() => reject(new Error(`the program does not end; it printed ${JSON.stringify(heard)}`)), patience).unref();
  });
  await page.goto(`${origin}/healthz`); // any page of the server's own
  await page.setContent(`<!doctype html><input id="input"><footer id="footer"></footer>
<script type="module">${program}
window.done = true;
console.debug("done");</script>`);
  await ended;
  return { context, heard };
}
