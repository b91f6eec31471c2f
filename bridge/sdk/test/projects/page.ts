import { byUser, codes, createClient, Local, Refusal, type Channel, type ChannelEvent, type Client, type StateChange, type Token } from "latido";

type Events = { new_message: { text: string }; typing: { typing?: boolean } };

export async function start(token: Token): Promise<Client> {
  const client = createClient({ token, url: "/realtime/", device: "web", queue: 100, queueBytes: 1 << 20, WebSocket });
  const show = ({ state, code, reason, message }: StateChange): string => `${state} ${code} ${reason} ${message ?? ""}`;
  const off = client.onState((change) => console.log(show(change), client.error?.message));
  const room: Channel<Events> = client.channel<Events>("room:1", {
    new_message: (data) => {
      if (typeof data === "object" && data !== null && "text" in data) return { text: String(data.text) };
      throw new Error("text is missing");
    },
  });
  room.on("new_message", ({ data, seq, replayed }) => console.log(data.text.length, seq ?? 0, replayed));
  room.on("*", (event: ChannelEvent) => console.log(event.event, event.from));
  room.onPresence(({ joins, members }) => console.log(joins.length, byUser(members).size));
  room.typing.onChange(({ line, users }) => console.log(line, users.length));
  room.onGap(({ from, to, position }) => console.log(from, to, position.epoch));
  const position = await room.subscribe({ last: "1h", presence: true });
  if (position) await room.subscribe({ since: position });
  try {
    const { seq } = await room.publish("new_message", { text: "hola" }, { key: "k", volatile: false });
    console.log(seq?.toFixed());
  } catch (error) {
    if (error instanceof Refusal && error.code === codes.forbidden && error.retry) console.log(Local.closed, error.reason);
  }
  for await (const { data } of room.history({ page: 10 })) console.log(data);
  await room.track({ seat: 7 }, { position: { lat: 40.4, lng: -3.7, accuracy: "100m" } });
  await client.setStatus({ status: "busy", until: "2030-01-01T00:00:00Z" });
  await client.people.watch(["luis"]);
  off();
  return client;
}
