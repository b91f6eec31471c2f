/** What travels: the native protocol `latido.v1`, as in schemas/bridge. */

/** Where a reader stands in a channel. Numbers of two epochs do not compare. */
export interface Position {
  epoch: string;
  seq: number;
}

/** A user in a channel, by one session. */
export interface Member {
  user: string;
  /** Names this session in public; stable while it lasts, drops included. */
  ref: string;
  name?: string;
  meta?: unknown;
  device?: string;
  since: string;
}

export interface Limits {
  /** Bytes in one frame. */
  frame: number;
  /** Subscriptions at a time. */
  channels: number;
  /** Publishes each second. */
  publishes: number;
}

export interface WelcomeFrame {
  op: "welcome";
  session: string;
  ref: string;
  user: string;
  name?: string;
  role?: string;
  node: string;
  ping: number;
  limits: Limits;
}

export interface OkFrame {
  op: "ok";
  id: number;
  position?: Position;
  replaying?: number;
  seq?: number;
  data?: unknown;
}

export interface ErrorFrame {
  op: "error";
  id?: number;
  code: number;
  reason: string;
  retry: boolean;
  message?: string;
}

export interface EventFrame {
  op: "event";
  channel: string;
  event: string;
  seq?: number;
  from?: string;
  key?: string;
  at?: string;
  data: unknown;
}

export interface PresenceFrame {
  op: "presence";
  channel: string;
  state?: Member[];
  joins?: Member[];
  updates?: Member[];
  leaves?: { user: string; ref: string }[];
  count: number;
}

export interface GapFrame {
  op: "gap";
  channel: string;
  from: number;
  to: number;
  position: Position;
}

export interface UnsubscribedFrame {
  op: "unsubscribed";
  channel: string;
  code: number;
  reason: string;
}

export type ServerFrame =
  | WelcomeFrame
  | OkFrame
  | ErrorFrame
  | EventFrame
  | PresenceFrame
  | GapFrame
  | UnsubscribedFrame
  | { op: "degraded" }
  | { op: "restored" }
  | { op: "ping" }
  | { op: "drain"; return_in: number };

export interface HelloFrame {
  op: "hello";
  token: string;
  client: string;
  batch: true;
  session?: string;
}

export interface PublishRequest {
  op: "publish";
  channel: string;
  event: string;
  key: string;
  data: unknown;
}

export interface CallRequest {
  op: "call";
  channel: string;
  command: string;
  key: string;
  data: unknown;
}

/** A request without its id, which the connection adds. */
export type Request =
  | { op: "subscribe"; channel: string; since?: Position; last?: number | string; presence?: true }
  | { op: "unsubscribe"; channel: string }
  | { op: "track"; channel: string; meta: unknown }
  | { op: "untrack"; channel: string }
  | { op: "token"; token: string }
  | PublishRequest
  | CallRequest;
