/** A backend whose server is not there: it stays up, says why, and goes on trying. */
import { createClient } from "latido";
import WebSocket from "ws";

const client = createClient({ url: "http://127.0.0.1:1/realtime/", token: () => "t", WebSocket, backoff: { base: 10, cap: 20 } });
void client.channel("room:1").subscribe({ presence: true });
void client.channel("room:1").publish("new_message", { text: "hola" });
let refused = 0;
client.onState(({ code }) => {
  if (code !== 1006 || ++refused < 3) return;
  client.close();
  client.open();
  client.close(); // while it dials
  console.log(`refused ${refused} times, then ${client.error?.reason}`);
});
