import { Refusal, createKey, type Channel, type ChannelEvent } from "latido";
import { element, find } from "./dom.ts";
import { avatar, type People } from "./people.ts";
import type { Visitor } from "./visitor.ts";

/** Say so at most this often while somebody writes, and believe it for a little longer. */
const typingEvery = 2_000;
const typingLasts = 3_500;

/** The room's conversation: own words at once, marked until they are stored. */
export class Chat {
  readonly #lobby: Channel;
  readonly #people: People;
  readonly #me: Visitor;
  readonly #log = find("#log", HTMLElement);
  readonly #typing = find("#typing", HTMLElement);
  readonly #input = find("#say", HTMLInputElement);
  readonly #pending = new Map<string, HTMLElement>();
  readonly #typists = new Map<string, ReturnType<typeof setTimeout>>();
  #lastFrom: string | undefined;
  #saidTyping = 0;

  constructor(lobby: Channel, people: People, me: Visitor) {
    this.#lobby = lobby;
    this.#people = people;
    this.#me = me;
    lobby.on("new_message", (event) => this.#heard(event));
    lobby.on("member_joined", ({ from, at }) => this.#note(`${people.name(from ?? "")} came for the first time`, at));
    lobby.on("typing", ({ from }) => this.#sawTyping(from ?? ""));
    lobby.onGap(() => this.#note("Older messages are gone from this server."));
    this.#input.addEventListener("input", () => this.#tellTyping());
    find("#composer", HTMLFormElement).addEventListener("submit", (submit) => {
      submit.preventDefault();
      void this.#say(this.#input.value.trim());
    });
    this.#input.disabled = false;
  }

  async #say(text: string): Promise<void> {
    if (text === "") return;
    this.#input.value = "";
    this.#saidTyping = 0;
    const key = createKey();
    const bubble = this.#bubble(this.#me.user, text, new Date());
    bubble.classList.add("pending");
    this.#pending.set(key, bubble);
    try {
      await this.#lobby.publish("new_message", { text }, { key });
    } catch (error) {
      bubble.classList.replace("pending", "failed");
      bubble.title = error instanceof Refusal ? `${error.message}` : String(error);
    }
  }

  #heard({ from = "", data, key, at, seq, replayed }: ChannelEvent): void {
    const text = textOf(data);
    this.#stopTyping(from);
    const own = key !== undefined && from === this.#me.user ? this.#pending.get(key) : undefined;
    const bubble = own ?? this.#bubble(from, text, at ? new Date(at) : new Date());
    if (key !== undefined) this.#pending.delete(key);
    bubble.classList.remove("pending", "failed");
    bubble.classList.toggle("replayed", replayed);
    bubble.dataset["seq"] = String(seq);
    bubble.title = `seq ${seq}`;
  }

  #bubble(from: string, text: string, at: Date): HTMLElement {
    const mine = from === this.#me.user;
    const name = this.#people.name(from);
    const time = element("time", "", at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
    const bubble = element("div", "bubble", element("span", "text", text), time);
    const row = element("div", mine ? "row mine" : "row");
    if (from !== this.#lastFrom) row.classList.add("first");
    if (!mine) row.append(from === this.#lastFrom ? element("span", "avatar-space") : avatar(from, name));
    const column = element("div", "column");
    if (!mine && from !== this.#lastFrom) column.append(element("span", "who", name));
    column.append(bubble);
    row.append(column);
    this.#lastFrom = from;
    this.#append(row);
    return bubble;
  }

  #note(text: string, at?: string): void {
    this.#lastFrom = undefined;
    const note = element("p", "note", text);
    if (at) note.title = new Date(at).toLocaleString();
    this.#append(note);
  }

  #append(row: HTMLElement): void {
    find("#silence", HTMLElement).hidden = true;
    this.#log.append(row);
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  #tellTyping(): void {
    if (this.#input.value === "" || Date.now() - this.#saidTyping < typingEvery) return;
    this.#saidTyping = Date.now();
    // Worthless when it does not arrive now, and not worth a word then.
    this.#lobby.publish("typing", {}, { volatile: true }).catch(() => {});
  }

  #sawTyping(user: string): void {
    if (user === this.#me.user) return;
    clearTimeout(this.#typists.get(user));
    this.#typists.set(user, setTimeout(() => this.#stopTyping(user), typingLasts));
    this.#showTyping();
  }

  #stopTyping(user: string): void {
    clearTimeout(this.#typists.get(user));
    if (this.#typists.delete(user)) this.#showTyping();
  }

  #showTyping(): void {
    const names = [...this.#typists.keys()].map((user) => this.#people.name(user));
    this.#typing.hidden = names.length === 0;
    const who = names.length > 2 ? `${names.length} people are` : `${names.join(" and ")} ${names.length > 1 ? "are" : "is"}`;
    if (names.length > 0) find("#typing-who", HTMLElement).textContent = `${who} typing`;
  }
}

function textOf(data: unknown): string {
  return typeof data === "object" && data !== null && "text" in data ? String(data.text) : "";
}
