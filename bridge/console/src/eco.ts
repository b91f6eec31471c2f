import { createKey } from "latido";
import { devToken } from "./visitor.ts";

/** Somebody who talks in the lobby over HTTP while this page is cut off, so that there is something to miss. */
export class Eco {
  readonly #channel: string;
  readonly #devTokens: boolean;

  constructor(channel: string, devTokens: boolean) {
    this.#channel = `api/channels/${encodeURIComponent(channel)}`;
    this.#devTokens = devTokens;
  }

  /** Says three things in so many milliseconds. Needs a token of its own, which only a dev server gives. */
  async talk(milliseconds: number): Promise<void> {
    if (!this.#devTokens) return;
    const token = await devToken("eco", "Eco");
    await this.#post(token, "/commands/join", {});
    for (const words of ["You cannot hear me now.", "But I go on talking…", "…and you will have missed nothing."]) {
      await new Promise((resolve) => setTimeout(resolve, milliseconds / 4));
      await this.#post(token, "/events", { event: "new_message", data: { text: words } });
    }
  }

  async #post(token: string, path: string, body: object): Promise<void> {
    await fetch(this.#channel + path, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
      body: JSON.stringify({ key: createKey(), data: {}, ...body }),
    });
  }
}
