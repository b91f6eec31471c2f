import type { Answer } from "./link.ts";

/** What the parts of a channel need of the connection. */
export interface Line {
  /** Sends a request, given as JSON without its id; false when there is no connection. The answer may never come. */
  request(body: string, answered: (answer: Answer) => void): boolean;
}
