import { dataOf, invalid } from "./body.ts";
import type { ChannelEvent } from "./channel.ts";
import { Local, Refusal } from "./refusal.ts";
import type { ErrorFrame, EventFrame, Position } from "./wire.ts";

export interface HistoryOptions {
  /** Read what comes after this; without it from the oldest event kept. */
  since?: Position;
  /** Events in one request. Default 100. */
  page?: number;
  /** Hears of events that cannot be given any more, before those that come after them. */
  onGap?: (gap: HistoryGap) => void;
}

/** The numbers of the first and the last event that are missing. */
export interface HistoryGap {
  from: number;
  to: number;
}

/** Where the HTTP API is, and who asks. */
export interface Site {
  readonly url: URL;
  token(): Promise<string>;
}

interface Page {
  /** Where the page ends. */
  position: Position;
  events: Omit<EventFrame, "op" | "channel">[];
  /** What is missing before the first event. */
  gap?: HistoryGap;
  /** Events that are stored, and that nobody could read. */
  gaps?: HistoryGap[];
  /** There are events behind the position: a page ends early when it has many bytes. */
  more?: boolean;
}

export async function* history(site: Site, channel: string, options: HistoryOptions): AsyncGenerator<ChannelEvent> {
  const limit = options.page ?? 100;
  let since = options.since;
  for (;;) {
    const page = await read(site, channel, since, limit);
    for (const gap of [...(page.gap ? [page.gap] : []), ...(page.gaps ?? [])]) options.onGap?.(gap);
    for (const stored of page.events) {
      const { encoding: _, ...event } = stored;
      yield { ...event, data: dataOf(stored), channel, replayed: true };
    }
    const full = page.events.length + (page.gaps?.length ?? 0) >= limit;
    if (!page.more && !full) return;
    since = page.position;
  }
}

function read(site: Site, channel: string, since: Position | undefined, limit: number): Promise<Page> {
  const query = new URLSearchParams({ since: String(since?.seq ?? 0), limit: String(limit) });
  if (since) query.set("epoch", since.epoch);
  if (since?.at !== undefined) query.set("at", since.at);
  return get<Page>(site, `${pathOf(channel)}/events?${query}`);
}

/** How many are present on a channel. */
export async function count(site: Site, channel: string): Promise<number> {
  return (await get<{ count: number }>(site, `${pathOf(channel)}/presence?count=true`)).count;
}

function pathOf(channel: string): string {
  try {
    return `api/channels/${encodeURIComponent(channel)}`;
  } catch (error) {
    throw invalid(error); // half of a surrogate pair is no text
  }
}

async function get<Answer>(site: Site, path: string): Promise<Answer> {
  const headers = { Authorization: `Bearer ${await site.token()}` };
  let response: Response;
  try {
    response = await fetch(new URL(path, site.url), { headers });
  } catch (error) {
    throw new Refusal(Local.offline, "offline", true, error instanceof Error ? error.message : undefined);
  }
  const body: unknown = await response.json().catch(() => undefined);
  if (response.ok && body !== undefined) return body as Answer;
  if (typeof body === "object" && body !== null && "code" in body) {
    const { code, reason, retry, message } = body as ErrorFrame;
    throw new Refusal(code, reason, retry, message);
  }
  // Not a word of ours: something stands between, or the address is another's.
  const retry = response.status >= 500 || response.status === 429;
  throw new Refusal(Local.unreadable, "unreadable", retry, `${response.url} answered ${response.status}`);
}
