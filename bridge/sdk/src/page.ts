import type { Off } from "./listeners.ts";

export interface PageNews {
  /** The network is back. */
  online(): void;
  /** The user looks at the page again, or the browser lets it run again. */
  visible(): void;
  /** The page goes away; it may come back from the browser's cache. */
  hide(): void;
  /** The page came back from the browser's cache. */
  show(): void;
}

/** Listens to the page this library runs in. Outside a browser there is none and nothing happens. */
export function watchPage(news: PageNews): Off {
  if (typeof window === "undefined" || typeof document === "undefined") return () => {};
  const visibility = () => {
    if (document.visibilityState === "visible") news.visible();
  };
  const resume = () => news.visible();
  const online = () => news.online();
  const hide = () => news.hide();
  const show = () => news.show();
  window.addEventListener("online", online);
  window.addEventListener("pagehide", hide);
  window.addEventListener("pageshow", show);
  document.addEventListener("visibilitychange", visibility);
  document.addEventListener("resume", resume);
  return () => {
    window.removeEventListener("online", online);
    window.removeEventListener("pagehide", hide);
    window.removeEventListener("pageshow", show);
    document.removeEventListener("visibilitychange", visibility);
    document.removeEventListener("resume", resume);
  };
}

/** The tab's own storage, unless there is none or the user forbids it. */
export function tabStorage(): Storage | undefined {
  try {
    return typeof sessionStorage === "undefined" ? undefined : sessionStorage;
  } catch {
    return undefined;
  }
}
