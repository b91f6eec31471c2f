import type { EventFrame } from "./wire.ts";

/** The data of an event as an application gets it: bytes travel as base64. */
export function dataOf({ data, encoding }: Pick<EventFrame, "data" | "encoding">): unknown {
  if (encoding !== "base64") return data;
  return Uint8Array.from(atob(String(data)), (character) => character.charCodeAt(0));
}
