import { Local, Refusal } from "./refusal.ts";
import type { EventFrame, Request } from "./wire.ts";

/** The data of an event as an application gets it: bytes travel as base64. */
export function dataOf({ data, encoding }: Pick<EventFrame, "data" | "encoding">): unknown {
  if (encoding !== "base64") return data;
  return Uint8Array.from(atob(String(data)), (character) => character.charCodeAt(0));
}

/**
 * A request as it travels, made once, whatever the application does to its objects meanwhile; or the refusal of what
 * JSON cannot say: circular objects, functions, a BigInt, and numbers that are none, which would arrive as null.
 */
export function bodyOf(request: Request): string | Refusal {
  try {
    const fields: string[] = [];
    for (const [field, value] of Object.entries(request)) {
      if (value === undefined) continue;
      const text = JSON.stringify(value) as string | undefined;
      if (text === undefined) throw new TypeError(`${field}: a ${typeof value} is not JSON`);
      fields.push(`"${field}":${text}`);
    }
    const body = `{${fields.join()}}`;
    if (body.includes("null")) JSON.stringify(request, finite); // slower, and so only where it may find something
    return body;
  } catch (error) {
    return invalid(error);
  }
}

function finite(_: string, value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) throw new TypeError(`${value} is not JSON`);
  return value;
}

/** What an application gave cannot be sent, and why. */
export function invalid(why: unknown): Refusal {
  return new Refusal(Local.invalid, "invalid", false, why instanceof Error ? why.message : undefined);
}
