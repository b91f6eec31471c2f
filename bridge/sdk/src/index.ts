export { createClient, type Client, type ClientOptions } from "./client.ts";
export type { Channel, ChannelEvent, EventMap, Parsers, PublishOptions } from "./channel.ts";
export type { Device, State, StateChange } from "./connection.ts";
export type { SubscribeOptions, SubscriptionChange, SubscriptionState } from "./seat.ts";
export { byKey, byUser, type PresenceChange } from "./presence.ts";
export type { People } from "./people.ts";
export type { TrackOptions } from "./tracker.ts";
export type { Typing, TypingChange } from "./typing.ts";
export type { BackoffOptions } from "./backoff.ts";
export type { HistoryGap, HistoryOptions } from "./history.ts";
export type { Off } from "./listeners.ts";
export type { Receipt } from "./outbox.ts";
export type { Socket, SocketConstructor } from "./socket.ts";
export type { Token } from "./token.ts";
export {
  codes,
  type Card,
  type GapFrame,
  type Limits,
  type Member,
  type Place,
  type Position,
  type Schedule,
  type SetStatus,
} from "./wire.ts";
export { createKey } from "./key.ts";
export { Local, Refusal } from "./refusal.ts";
