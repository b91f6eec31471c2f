/** What travels: the native protocol `latido.v1`. The types come from schemas/bridge. */
import type * as schema from "../../../schemas/typescript/bridge.ts";

export { codes, retryable } from "../../../schemas/typescript/codes.ts";

export type { Limits, Member, Place, Position } from "../../../schemas/typescript/bridge.ts";
export type { Card, ScheduleStatus as Schedule, SetStatus } from "../../../schemas/typescript/presence.ts";
export type ServerFrame = schema.Notice;
export type WelcomeFrame = schema.Welcome;
export type OkFrame = schema.OK;
export type ErrorFrame = schema.Error;
export type EventFrame = schema.Event;
export type PresenceFrame = schema.PresenceState | schema.PresenceChange;
export type GapFrame = schema.Gap;
export type UnsubscribedFrame = schema.Unsubscribed;
export type HelloFrame = schema.Hello;

/** A request without its id, which the link adds. */
export type Request = WithoutId<Exclude<schema.Request, schema.Hello | schema.Pong | schema.Activity>>;
export type PublishRequest = WithoutId<schema.Publish> & { key: string };
export type CallRequest = WithoutId<schema.Call> & { key: string };

type WithoutId<Frame> = Frame extends { id: number } ? Omit<Frame, "id"> : never;
