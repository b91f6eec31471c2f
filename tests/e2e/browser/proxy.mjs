import http from "node:http";
import net from "node:net";

/**
 * Puts a server under a path, as a reverse proxy does: what comes for the path is handed on without it, and everything
 * else is not there. Keeps what was asked for in vain.
 */
export class Proxy {
  strays = [];
  #target;
  #path;
  #server;

  constructor(target, path) {
    this.#target = new URL(target);
    this.#path = path;
  }

  /** Starts to serve; resolves with the address that stands for the server's root. */
  async open() {
    this.#server = http.createServer((request, response) => this.#pass(request, response));
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${this.#server.address().port}${this.#path}`;
  }

  close() {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #inside({ method, url }) {
    if (url.startsWith(this.#path)) return url.slice(this.#path.length - 1);
    this.strays.push(`${method} ${url}`);
    return undefined;
  }

  #pass(request, response) {
    const path = this.#inside(request);
    if (path === undefined) return response.writeHead(404).end();
    const { hostname, port } = this.#target;
    const onward = http.request({ hostname, port, path, method: request.method, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  }

  #upgrade(request, socket, head) {
    const path = this.#inside(request);
    if (path === undefined) return socket.destroy();
    const onward = net.connect(Number(this.#target.port), this.#target.hostname, () => {
      const headers = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}\r\n`);
      onward.write(`${request.method} ${path} HTTP/1.1\r\n${headers.join("")}\r\n`);
      onward.write(head);
      socket.pipe(onward).pipe(socket);
    });
    for (const end of [socket, onward]) end.on("error", () => [socket, onward].forEach((other) => other.destroy()));
  }
}
