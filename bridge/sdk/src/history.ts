import type { ChannelEvent } from "./channel.ts";
import { Refusal } from "./refusal.ts";
import type { ErrorFrame, EventFrame, Position } from "./wire.ts";

export interface HistoryOptions {
  /** Read what comes after this; without it from the oldest event kept. */
  since?: Position;
  /** Events in one request. Default 100. */
  page?: number;
}

/** Where the HTTP API is, and who asks. */
export interface Site {
  readonly url: string;
  token(): Promise<string>;
}

interface Page {
  /** Where the page ends. */
  position: Position;
  events: Omit<EventFrame, "op" | "channel">[];
}

export async function* history(site: Site, channel: string, options: HistoryOptions): AsyncGenerator<ChannelEvent> {
  const limit = options.page ?? 100;
  let since = options.since;
  for (;;) {
    const page = await read(site, channel, since, limit);
    for (const event of page.events) yield { ...event, channel, replayed: true };
    if (page.events.length < limit) return;
    since = page.position;
  }
}

function read(site: Site, channel: string, since: Position | undefined, limit: number): Promise<Page> {
  const query = new URLSearchParams({ since: String(since?.seq ?? 0), limit: String(limit) });
  if (since) query.set("epoch", since.epoch);
  if (since?.at !== undefined) query.set("at", since.at);
  return get<Page>(site, `/api/channels/${encodeURIComponent(channel)}/events?${query}`);
}

/** How many are present on a channel. */
export async function count(site: Site, channel: string): Promise<number> {
  return (await get<{ count: number }>(site, `/api/channels/${encodeURIComponent(channel)}/presence?count=true`)).count;
}

async function get<Answer>(site: Site, path: string): Promise<Answer> {
  const response = await fetch(site.url + path, { headers: { Authorization: `Bearer ${await site.token()}` } });
  if (response.ok) return (await response.json()) as Answer;
  const { code, reason, retry, message } = (await response.json()) as ErrorFrame;
  throw new Refusal(code, reason, retry, message);
}
