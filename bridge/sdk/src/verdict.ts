import { codes, retryable } from "./wire.ts";

/** What to do after a close: dial again, dial with another token or as a new session, or stop for good. */
export type Verdict = "again" | "token" | "session" | "stop";

/**
 * The retry rule of the server's codes: 4000 to 4499 do not repeat unchanged, everything else is worth another
 * try. An ended or refused token and a session that another connection took over are what can be changed here.
 */
export function verdict(code: number): Verdict {
  switch (code) {
    case codes.unauthenticated:
    case codes.token_expired:
      return "token";
    case codes.replaced:
      return "session";
    default:
      return code < codes.invalid_json || retryable(code) ? "again" : "stop";
  }
}
