/**
 * A WebSocket whose wire can be cut: open ones break without a goodbye, new ones reach nobody until the cut is
 * over. This stands in for a tunnel, a lift or a router that restarts.
 */
export class Wire extends WebSocket {
  static readonly #open = new Set<Wire>();
  static #cutUntil = 0;

  static get isCut(): boolean {
    return Date.now() < Wire.#cutUntil;
  }

  static cut(milliseconds: number): void {
    Wire.#cutUntil = Date.now() + milliseconds;
    // Any code but 1000 is a drop to the server: it keeps our place for a while.
    for (const wire of Wire.#open) wire.close(4900, "cut");
  }

  constructor(url: string | URL, protocols?: string | string[]) {
    // Nothing listens on port 1, so that this fails as an unreachable server does.
    super(Wire.isCut ? `${location.protocol.replace("http", "ws")}//127.0.0.1:1/` : url, protocols);
    Wire.#open.add(this);
    this.addEventListener("close", () => Wire.#open.delete(this));
  }
}
