import type { Channel, ChannelEvent, Client, Member, Off } from "latido";
import { trackOf } from "./drive.ts";
import type { Heartbeat } from "./heartbeat.ts";
import { metaOf, type People } from "./people.ts";
import { toMap } from "./streets.ts";
import type { Town } from "./town.ts";

/** Follows whoever says in the lobby that they drive. */
export class Watch {
  readonly #client: Client;
  readonly #people: People;
  readonly #town: Town;
  readonly #heartbeat: Heartbeat;
  readonly #followed = new Map<string, { track: Channel; off: Off }>();

  constructor(client: Client, lobby: Channel, people: People, town: Town, heartbeat: Heartbeat) {
    this.#client = client;
    this.#people = people;
    this.#town = town;
    this.#heartbeat = heartbeat;
    lobby.onPresence(({ members }) => this.#follow(members));
  }

  #follow(members: ReadonlyMap<string, Member>): void {
    const drivers = new Set([...members.values()].filter((member) => metaOf(member).driving).map(({ user }) => user));
    for (const user of drivers) if (!this.#followed.has(user)) this.#start(user);
    for (const user of this.#followed.keys()) if (!drivers.has(user)) this.#stop(user);
  }

  #start(user: string): void {
    const track = this.#client.channel(trackOf(user));
    const off = track.on("coords_update", (event) => this.#moved(user, event));
    this.#followed.set(user, { track, off });
    // Whoever may not be watched is not shown; the next change of presence asks again.
    track.subscribe({ last: "15s" }).catch(() => this.#stop(user));
  }

  #stop(user: string): void {
    const followed = this.#followed.get(user);
    if (!followed) return;
    this.#followed.delete(user);
    followed.off();
    void followed.track.unsubscribe();
    this.#town.leave(user);
  }

  #moved(user: string, { data, replayed }: ChannelEvent): void {
    const { lat, lng, heading = 0 } = data as { lat: number; lng: number; heading?: number };
    this.#heartbeat.beat("position");
    this.#town.move(user, this.#people.name(user), toMap({ lat, lng }), heading, replayed);
  }
}
