import net from "node:net";

/**
 * A piece of network between one visitor and the server, that fails in the two ways networks fail: it breaks, and
 * everybody is told, or it falls silent, and nobody is.
 */
export class Line {
  #server;
  #target;
  #state = "sound";
  #sockets = new Set();

  constructor(target) {
    this.#target = new URL(target);
  }

  /** Starts to carry; resolves with the origin that stands for the server's. */
  async open() {
    this.#server = net.createServer((near) => this.#join(near));
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Resets every connection, and every new one at once. */
  break() {
    this.#state = "broken";
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Carries nothing more and says nothing; new connections come up and hear nothing. */
  hush() {
    this.#state = "silent";
    for (const socket of this.#sockets) socket.pause();
  }

  /** New connections work again. Those of before stay what they became. */
  mend() {
    this.#state = "sound";
  }

  close() {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(near) {
    if (this.#state === "broken") return near.resetAndDestroy();
    this.#keep(near);
    if (this.#state === "silent") return near.pause();
    const far = net.connect(Number(this.#target.port), this.#target.hostname);
    this.#keep(far);
    this.#carry(near, far);
    this.#carry(far, near);
  }

  #keep(socket) {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => {}); // what broke is the test's own doing
    socket.on("close", () => this.#sockets.delete(socket));
  }

  #carry(from, to) {
    from.on("data", (bytes) => to.write(bytes));
    from.on("end", () => to.end());
    from.on("close", () => to.destroy());
  }
}
