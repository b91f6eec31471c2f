import type { Token } from "latido";

/** Who this tab is. */
export interface Visitor {
  user: string;
  name: string;
  token: Token;
}

/** The server gives no tokens away: it was started with a secret, or is not on loopback. */
export class DevTokensOff extends Error {}

const adjectives = ["Brave", "Calm", "Clever", "Gentle", "Happy", "Lucky", "Merry", "Quick", "Quiet", "Sunny", "Swift", "Witty"];
const animals = ["Badger", "Dolphin", "Falcon", "Fox", "Heron", "Jaguar", "Koala", "Lynx", "Otter", "Panda", "Puma", "Robin"];

export function randomName(): string {
  const pick = (words: string[]): string => words[Math.floor(Math.random() * words.length)] ?? "";
  return `${pick(adjectives)} ${pick(animals)}`;
}

/** The same name is the same user, in whatever tab: that is how somebody is here twice. */
export function userOf(name: string): string {
  const plain = name.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  return plain.replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "guest";
}

export function nameOf(user: string): string {
  return user.split("-").map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join(" ");
}

/** A visitor by name, whose tokens the dev server gives. Throws {@link DevTokensOff} when it does not. */
export async function visit(name: string): Promise<Visitor> {
  const user = userOf(name);
  const token = (): Promise<string> => devToken(user, name);
  await token();
  return { user, name, token };
}

/** A visitor who brings a token. */
export function visitWith(token: string): Visitor {
  const payload = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
  const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
  const claims = JSON.parse(new TextDecoder().decode(bytes)) as { sub?: string; name?: string };
  if (!claims.sub) throw new Error("The token names no user: it needs a claim “sub”.");
  return { user: claims.sub, name: claims.name ?? nameOf(claims.sub), token };
}

export async function devToken(user: string, name: string): Promise<string> {
  const response = await fetch("dev/token", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ user, name, role: "client" }),
  });
  if (response.status >= 400 && response.status < 500) throw new DevTokensOff();
  if (!response.ok) throw new Error(`The server answers ${response.status}.`);
  const { token } = (await response.json()) as { token: string };
  return token;
}

/** A colour of one's own, as a hue. */
export function hueOf(user: string): number {
  let hash = 7;
  for (const character of user) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  return (hash * 137) % 360;
}
