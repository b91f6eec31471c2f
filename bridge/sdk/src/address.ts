import { Local, Refusal } from "./refusal.ts";

/** Where this library lies on a server that serves it. */
const bundle = /\/sdk\/latido\.js([?#]|$)/;

/** The addresses of one server. */
export interface Address {
  /** The WebSocket. */
  readonly socket: URL;
  /** What the paths of its HTTP API are relative to. */
  readonly http: URL;
}

/**
 * A server by what an application says: its address, with the path under which it stands and with or without the
 * `ws` at the end. Without a word it is the server that this script came from, or else the root of the page's own.
 */
export function addressOf(url: string | URL | undefined, script = import.meta.url): Address {
  const page = typeof location === "undefined" ? undefined : location.href;
  let base: URL;
  try {
    base = url === undefined && bundle.test(script) ? new URL("..", script) : new URL(url ?? "/", page);
  } catch {
    const given = url === undefined ? "outside a page the option url is needed" : `not an address: ${url}`;
    throw new Refusal(Local.invalid, "invalid", false, given);
  }
  const folder = base.pathname.replace(/\/ws$/, "/").replace(/\/?$/, "/");
  const socket = new URL(`${folder}ws${base.search}`, base);
  const http = new URL(folder, base);
  socket.protocol = socket.protocol.replace(/^http/, "ws");
  http.protocol = http.protocol.replace(/^ws/, "http");
  return { socket, http };
}
