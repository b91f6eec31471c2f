import type { Off } from "./listeners.ts";

/** How often a user who is busy with the page is told to be so: well within the minute after which they count as idle. */
const pace = 20_000;

/** Signs of a user. */
const signs = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"] as const;

/** Calls back when the user does something, now and then while they go on. Outside a browser nobody does anything. */
export function watchUser(touched: () => void): Off {
  if (typeof window === "undefined") return () => {};
  let last = 0;
  const sign = () => {
    if (Date.now() - last < pace) return;
    last = Date.now();
    touched();
  };
  for (const name of signs) window.addEventListener(name, sign, { passive: true });
  return () => {
    for (const name of signs) window.removeEventListener(name, sign);
  };
}
