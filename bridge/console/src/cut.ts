import type { Channel, Client } from "latido";
import { Eco } from "./eco.ts";
import { find } from "./dom.ts";
import { Wire } from "./wire.ts";

const cutFor = 5_000;

/** How long after the return the page waits for the last event before it says that one is missing. */
const patience = 5_000;

/** The experiment: cut the connection, let somebody talk meanwhile, and count what came back. */
export class Cut {
  readonly #client: Client;
  readonly #lobby: Channel;
  readonly #eco: Eco;
  readonly #button = find("#cut", HTMLButtonElement);
  readonly #result = find("#cut-result", HTMLElement);
  #seen: number[] = [];
  #replayed = 0;

  constructor(client: Client, lobby: Channel, eco: Eco) {
    this.#client = client;
    this.#lobby = lobby;
    this.#eco = eco;
    lobby.on("*", ({ seq, replayed }) => {
      if (seq === undefined) return;
      this.#seen.push(seq);
      if (replayed) this.#replayed++;
    });
    this.#button.addEventListener("click", () => void this.#run());
    this.#button.disabled = false;
  }

  async #run(): Promise<void> {
    const before = this.#lobby.position;
    this.#seen = [];
    this.#replayed = 0;
    this.#button.disabled = true;
    const began = Date.now();
    Wire.cut(cutFor);
    const talk = this.#eco.talk(cutFor);
    const clock = setInterval(() => this.#countDown(began), 100);
    await this.#back();
    clearInterval(clock);
    await talk;
    const away = ((Date.now() - began) / 1000).toFixed(1);
    const lost = before ? await this.#missing(before) : 0;
    const twice = this.#seen.length - new Set(this.#seen).size;
    this.#show(away, lost, twice);
    this.#button.disabled = false;
    this.#button.textContent = "Cut the connection for 5 s";
  }

  #countDown(began: number): void {
    const left = Math.max(0, cutFor - (Date.now() - began));
    this.#button.textContent = left > 0 ? `Cut off, ${(left / 1000).toFixed(1)} s left` : "Coming back";
    this.#result.dataset["outcome"] = "cut";
    const kept = this.#client.pending;
    this.#result.textContent = `Eco is talking in the room meanwhile. Write something too: it is kept${kept > 0 ? ` (${kept} waiting)` : ""}.`;
  }

  /** Resolves when the cut is over and the room is subscribed again. */
  #back(): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (Wire.isCut || this.#lobby.state !== "subscribed") return;
        off();
        clearInterval(timer);
        resolve();
      };
      const off = this.#lobby.onState(look);
      const timer = setInterval(look, 250);
    });
  }

  /** Asks the server over HTTP what there was, and compares: the page does not take the client's word for it. */
  async #missing(since: { epoch: string; seq: number }): Promise<number> {
    const until = Date.now() + patience;
    for (;;) {
      let lost = 0;
      for await (const { seq } of this.#lobby.history({ since })) {
        if (seq !== undefined && !this.#seen.includes(seq)) lost++;
      }
      if (lost === 0 || Date.now() > until) return lost;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  #show(away: string, lost: number, twice: number): void {
    this.#result.dataset["outcome"] = lost + twice === 0 ? "whole" : "broken";
    this.#result.dataset["replayed"] = String(this.#replayed);
    this.#result.textContent = `Back after ${away} s: ${this.#replayed} replayed, ${lost} missing, ${twice} twice.`;
  }
}
