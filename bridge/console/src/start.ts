import { createClient, type Client } from "latido";
import { Chat } from "./chat.ts";
import { Cut } from "./cut.ts";
import { find } from "./dom.ts";
import { enter, forget } from "./door.ts";
import { Drive } from "./drive.ts";
import { Eco } from "./eco.ts";
import { Heartbeat } from "./heartbeat.ts";
import { stayInLobby } from "./lobby.ts";
import { People, avatar } from "./people.ts";
import { showState } from "./pill.ts";
import { showPosition } from "./positions.ts";
import { showSnippets } from "./snippet.ts";
import { Town } from "./town.ts";
import type { Visitor } from "./visitor.ts";
import { Watch } from "./watch.ts";
import { Wire } from "./wire.ts";

const town = new Town();
const heartbeat = new Heartbeat();
showSnippets();
await start(await enter());

async function start(me: Visitor): Promise<void> {
  // A demonstration should not keep anybody waiting, so the pauses are short.
  const client = createClient({ token: me.token, client: "console/1", WebSocket: Wire, backoff: { base: 300, cap: 1_500 } });
  const lobby = client.channel("room:lobby");
  greet(me, client);
  showState(client);
  showPosition(lobby);
  client.onState(({ state }) => heartbeat.alive(state === "connected"));
  lobby.on("*", () => heartbeat.beat("message"));
  lobby.onPresence(() => heartbeat.beat("presence"));

  const people = new People(lobby, me);
  new Watch(client, lobby, people, town, heartbeat);
  const chat = new Chat(lobby, people, me);
  await stayInLobby(lobby, (trouble) => chat.note(trouble));
  new Drive(client, lobby, me);
  new Cut(client, lobby, new Eco(lobby.name, typeof me.token === "function"));
}

function greet(me: Visitor, client: Client): void {
  const badge = find("#me", HTMLButtonElement);
  badge.replaceChildren(avatar(me.user, me.name), me.name);
  badge.hidden = false;
  badge.addEventListener("click", () => {
    client.close();
    forget();
    location.reload();
  });
}
