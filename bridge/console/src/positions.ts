import type { Channel } from "latido";
import { element, find } from "./dom.ts";

/** Where this client stands in the lobby, for the curious. */
export function showPosition(lobby: Channel): void {
  const place = find("#position", HTMLElement);
  const show = (): void => {
    const position = lobby.position;
    const value = (text: string): HTMLElement => element("b", "", text);
    place.replaceChildren(
      lobby.name,
      " · epoch ",
      value(position?.epoch ?? "–"),
      " · seq ",
      value(String(position?.seq ?? "–")),
    );
  };
  lobby.on("*", show);
  lobby.onState(show);
  show();
}
