import { Refusal, codes, type Channel } from "latido";
import type { Meta } from "./people.ts";

/**
 * Enters, and enters again should the room ever be gone: a server whose data was thrown away knows nobody.
 * Whatever keeps us out is told in one sentence.
 */
export async function stayInLobby(lobby: Channel, tell: (trouble: string) => void): Promise<void> {
  let inside = false;
  const attempt = async (): Promise<void> => {
    try {
      await enterLobby(lobby);
      inside = true;
    } catch (error) {
      inside = false;
      if (!(error instanceof Refusal)) throw error;
      tell(`The lobby does not let you in: ${error.message}.`);
    }
  };
  lobby.onState(({ state, code }) => {
    if (inside && state === "unsubscribed" && code === codes.forbidden) void attempt();
  });
  await attempt();
}

/**
 * Enters the room that everybody is in: opens it if nobody has, joins, subscribes, and is present. The constant
 * key makes opening it again from another tab or another day the same request.
 */
async function enterLobby(lobby: Channel): Promise<void> {
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
