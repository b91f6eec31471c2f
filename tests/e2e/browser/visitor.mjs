/** How long anybody waits for what must come, in ms: on a machine that stalls, too. */
export const patience = 120_000;

/** A person at the start page, and what they see. */
export class Visitor {
  constructor(page, name) {
    this.page = page;
    this.name = name;
  }

  /** Opens the page and comes in by name. Errors of the page's own are the test's failure. */
  static async enter(browser, origin, name, look, failures) {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...look });
    context.setDefaultTimeout(patience);
    const page = await context.newPage();
    page.on("pageerror", (error) => failures.push(`${name}: ${error.message}`));
    await page.goto(origin);
    await page.fill("#name", name);
    await page.click("#name-form .enter");
    const visitor = new Visitor(page, name);
    await visitor.entered();
    return visitor;
  }

  /** The page is in the lobby. */
  async entered() {
    await this.page.waitForSelector("#cut:not([disabled])");
    await this.state("connected");
  }

  state(state) {
    return this.page.waitForSelector(`#state[data-state="${state}"]`);
  }

  async say(text) {
    await this.page.fill("#say", text);
    await this.page.press("#say", "Enter");
  }

  /** Waits until a message stands in the stream's order, not among the waiting. */
  reads(text) {
    return this.page.waitForFunction(
      (wanted) => [...document.querySelectorAll("#stored .text")].some((shown) => shown.textContent === wanted),
      text,
    );
  }

  /** The conversation as it stands there: number and words, in order. */
  conversation() {
    return this.page.$$eval("#stored .row", (rows) =>
      rows.map((row) => ({ seq: Number(row.dataset.seq), text: row.querySelector(".text").textContent })),
    );
  }

  waiting() {
    return this.page.$$eval("#waiting .text", (shown) => shown.map((text) => text.textContent));
  }

  people() {
    return this.page.$$eval("#people .person", (lines) => lines.map((line) => line.dataset.user));
  }

  sees(user) {
    return this.page.waitForSelector(`#people [data-user="${user}"]`);
  }

  missesSight(user) {
    return this.page.waitForSelector(`#people [data-user="${user}"]`, { state: "detached" });
  }

  note(user, text) {
    return this.page.waitForFunction(
      ([who, wanted]) => document.querySelector(`#people [data-user="${who}"] .person-note`)?.textContent.includes(wanted),
      [user, text],
    );
  }

  /** From now on writes down every list of people that was shown, however shortly. */
  watchPeople() {
    return this.page.evaluate(() => {
      const list = document.querySelector("#people");
      globalThis.shown = [];
      new MutationObserver(() => globalThis.shown.push([...list.children].map((line) => line.dataset.user))).observe(list, { childList: true });
    });
  }

  peopleShown() {
    return this.page.evaluate(() => globalThis.shown);
  }

  picture(name) {
    return this.page.screenshot({ path: `artifacts/${name}.png` });
  }
}
