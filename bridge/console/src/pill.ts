import type { Client, State } from "latido";
import { find } from "./dom.ts";

const words: Record<State, string> = {
  connecting: "Reconnecting",
  connected: "Connected",
  degraded: "Bus away, holding on",
  disconnected: "Disconnected",
};

/** Shows the connection's state in the page's corner. */
export function showState(client: Client): void {
  const pill = find("#state", HTMLElement);
  const text = find("#state-text", HTMLElement);
  const show = (code: number, reason: string): void => {
    pill.dataset["state"] = client.state;
    text.textContent = words[client.state];
    const node = client.me ? ` · node ${client.me.node}` : "";
    pill.title = code ? `${reason} (${code})${node}` : `${client.state}${node}`;
  };
  client.onState(({ code, reason }) => show(code, reason));
  show(0, "");
}
