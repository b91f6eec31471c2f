import { Refusal, createKey, type Channel, type ChannelEvent } from "latido";
import { element, find } from "./dom.ts";
import { avatar, type People } from "./people.ts";
import type { Visitor } from "./visitor.ts";

/**
 * The room's conversation. What is stored stands in the stream's order, the same for everybody; own words that are
 * not stored yet wait below it.
 */
export class Chat {
  readonly #lobby: Channel;
  readonly #people: People;
  readonly #me: Visitor;
  readonly #log = find("#log", HTMLElement);
  readonly #stored = find("#stored", HTMLElement);
  readonly #waiting = find("#waiting", HTMLElement);
  readonly #typing = find("#typing", HTMLElement);
  readonly #input = find("#say", HTMLInputElement);
  readonly #unstored = new Map<string, HTMLElement>();
  #lastFrom: string | undefined;
  #returned = false;

  constructor(lobby: Channel, people: People, me: Visitor) {
    this.#lobby = lobby;
    this.#people = people;
    this.#me = me;
    lobby.on("new_message", (event) => this.#heard(event));
    lobby.on("member_joined", ({ from, at }) => this.note(`${people.name(from ?? "")} came for the first time`, at));
    lobby.typing.onChange(({ users }) => this.#showTyping(users));
    lobby.onState(({ reason }) => (this.#returned ||= reason === "lost"));
    lobby.onGap(() => this.note("Older messages are gone from this server."));
    this.#input.addEventListener("input", () => (this.#input.value === "" ? lobby.typing.stop() : lobby.typing.start()));
    find("#composer", HTMLFormElement).addEventListener("submit", (submit) => {
      submit.preventDefault();
      void this.#say(this.#input.value.trim());
    });
    this.#input.disabled = false;
  }

  async #say(text: string): Promise<void> {
    if (text === "") return;
    this.#input.value = "";
    const key = createKey();
    const row = this.#row(this.#me.user, text, new Date(), false);
    row.classList.add("pending");
    this.#unstored.set(key, row);
    this.#append(this.#waiting, row);
    try {
      await this.#lobby.publish("new_message", { text }, { key });
    } catch (error) {
      row.classList.replace("pending", "failed");
      row.title = error instanceof Refusal ? error.message : String(error);
    }
  }

  #heard({ from = "", data, key, at, seq, replayed }: ChannelEvent): void {
    if (key !== undefined && from === this.#me.user) {
      this.#unstored.get(key)?.remove();
      this.#unstored.delete(key);
    }
    const row = this.#row(from, textOf(data), at ? new Date(at) : new Date(), from !== this.#lastFrom);
    row.dataset["seq"] = String(seq);
    row.title = `seq ${seq}`;
    if (replayed && this.#returned) row.classList.add("missed");
    this.#lastFrom = from;
    this.#append(this.#stored, row);
  }

  #row(from: string, text: string, at: Date, first: boolean): HTMLElement {
    const mine = from === this.#me.user;
    const time = element("time", "", at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
    const bubble = element("div", "bubble", element("span", "text", text), time);
    const column = element("div", "column", bubble);
    const row = element("div", mine ? "row mine" : "row", column);
    if (first) row.classList.add("first");
    if (mine) return row;
    const name = this.#people.name(from);
    if (first) column.prepend(element("span", "who", name));
    row.prepend(first ? avatar(from, name) : element("span", "avatar-space"));
    return row;
  }

  /** A line between the messages, said by nobody. */
  note(text: string, at?: string): void {
    this.#lastFrom = undefined;
    const note = element("p", "note", text);
    if (at) note.title = new Date(at).toLocaleString();
    this.#append(this.#stored, note);
  }

  #append(list: HTMLElement, row: HTMLElement): void {
    find("#silence", HTMLElement).hidden = true;
    list.append(row);
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  #showTyping(users: readonly string[]): void {
    const names = users.map((user) => this.#people.name(user));
    this.#typing.dataset["anybody"] = String(names.length > 0);
    const who = names.length > 2 ? `${names.length} people are` : `${names.join(" and ")} ${names.length > 1 ? "are" : "is"}`;
    if (names.length > 0) find("#typing-who", HTMLElement).textContent = `${who} typing`;
  }
}

function textOf(data: unknown): string {
  return typeof data === "object" && data !== null && "text" in data ? String(data.text) : "";
}
