/** What to do after a close: dial again, dial with another token or as a new session, or stop for good. */
export type Verdict = "again" | "token" | "session" | "stop";

/**
 * The retry rule of the server's codes: 4000 to 4499 do not repeat unchanged, everything else is worth another
 * try. An ended or refused token and a session that another connection took over are what can be changed here.
 */
export function verdict(code: number): Verdict {
  switch (code) {
    case 4010:
    case 4011:
      return "token";
    case 4096:
      return "session";
    default:
      return code >= 4000 && code < 4500 ? "stop" : "again";
  }
}
