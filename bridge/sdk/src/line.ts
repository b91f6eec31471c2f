import type { Answer } from "./link.ts";
import type { Refusal } from "./refusal.ts";

/** What the parts of a channel need of the connection. */
export interface Line {
  /** Why there is no connection and none is on its way; undefined while there is one or will be. */
  readonly over: Refusal | undefined;
  /** Sends a request, given as JSON without its id; false when there is no connection. The answer may never come. */
  request(body: string, answered: (answer: Answer) => void): boolean;
}
