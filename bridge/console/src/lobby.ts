import { Refusal, codes, type Channel } from "latido";
import type { Meta } from "./people.ts";

/**
 * Enters the room that everybody is in: opens it if nobody has, joins, subscribes, and is present. The constant
 * key makes opening it again from another tab or another day the same request.
 */
export async function enterLobby(lobby: Channel): Promise<void> {
  try {
    await lobby.call("open", { members: [], title: "Lobby", public: true }, { key: "lobby" });
  } catch (error) {
    const known: number[] = [codes.exists, codes.key_reused];
    if (!(error instanceof Refusal && known.includes(error.code))) throw error;
  }
  await lobby.call("join");
  await lobby.subscribe({ last: 50, presence: true });
  await lobby.track({ driving: false } satisfies Meta);
}
