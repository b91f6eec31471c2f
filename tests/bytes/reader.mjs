// Reads channels with the client and prints what it is told, a line each.
// Usage: node --experimental-websocket reader.mjs <origin> <token> <channel>...
import { createClient } from "../../bridge/sdk/dist/latido.js";

const [origin, token, ...channels] = process.argv.slice(2);
const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const client = createClient({ url: origin, token });

for (const name of channels) {
  const channel = client.channel(name);
  channel.on("*", (event) => tell(event));
  channel.onState(({ state, code, reason }) => tell({ state, code, reason }));
  await channel.subscribe();
}
tell({ ready: true });
