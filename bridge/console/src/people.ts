import { byUser, type Channel, type Member } from "latido";
import { element, find } from "./dom.ts";
import { hueOf, nameOf, type Visitor } from "./visitor.ts";

/** What visitors of this page say about themselves. */
export interface Meta {
  driving: boolean;
}

export function metaOf(member: Member): Meta {
  const { meta } = member;
  return { driving: typeof meta === "object" && meta !== null && "driving" in meta && meta.driving === true };
}

/** Who is here, several tabs of one user folded to one line; and what everybody is called. */
export class People {
  readonly #list = find("#people", HTMLElement);
  readonly #count = find("#people-count", HTMLElement);
  readonly #me: Visitor;
  readonly #names = new Map<string, string>();

  constructor(lobby: Channel, me: Visitor) {
    this.#me = me;
    this.#names.set(me.user, me.name);
    lobby.onPresence(({ members }) => this.#show(members));
  }

  /** A user's name; of those who left as long as we remember it. */
  name(user: string): string {
    return this.#names.get(user) ?? nameOf(user);
  }

  #show(members: ReadonlyMap<string, Member>): void {
    const users = byUser(members);
    this.#count.textContent = String(users.size);
    const lines = [...users].map(([user, sessions]) => this.#line(user, sessions));
    this.#list.replaceChildren(...lines);
  }

  #line(user: string, sessions: Member[]): HTMLElement {
    const name = sessions.find(({ name }) => name)?.name ?? nameOf(user);
    this.#names.set(user, name);
    const notes: string[] = [];
    if (user === this.#me.user) notes.push("you");
    if (sessions.length > 1) notes.push(`${sessions.length} tabs`);
    if (sessions.some((session) => metaOf(session).driving)) notes.push("driving");
    const line = element("li", "person", avatar(user, name), element("span", "person-name", name));
    line.dataset["user"] = user;
    if (notes.length > 0) line.append(element("span", "person-note", notes.join(" · ")));
    return line;
  }
}

export function avatar(user: string, name: string): HTMLElement {
  const initials = name.split(/\s+/).map((word) => word.charAt(0)).join("").slice(0, 2).toUpperCase();
  const circle = element("span", "avatar", initials);
  circle.style.setProperty("--hue", String(hueOf(user)));
  circle.setAttribute("aria-hidden", "true");
  return circle;
}
