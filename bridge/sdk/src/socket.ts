/** What is needed of a WebSocket: that of a browser is one, of Node 22 and later, and of the package `ws`. */
export interface Socket {
  onopen: unknown;
  onmessage: unknown;
  onclose: unknown;
  onerror: unknown;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

export type SocketConstructor = new (url: URL | string, protocols?: string) => Socket;

/** The WebSocket of where we are, if it has one. */
export function ownSocket(): SocketConstructor | undefined {
  return typeof WebSocket === "undefined" ? undefined : WebSocket;
}
