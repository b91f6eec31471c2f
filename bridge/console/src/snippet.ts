import { find } from "./dom.ts";

/** Where the server is: with the path under which it stands, if it stands under one. */
const base = new URL(".", location.href);

/** The code to connect, in three ways, with this server's own address in it. */
export function showSnippets(): void {
  const code = find("#code", HTMLElement);
  const snippets = new Map([
    ["js", javaScript()],
    ["curl", curl()],
    ["nats", nats()],
  ]);
  const tabs = [...document.querySelectorAll<HTMLButtonElement>("#snippets [data-snippet]")];
  const show = (name: string): void => {
    code.textContent = snippets.get(name) ?? "";
    for (const tab of tabs) tab.setAttribute("aria-selected", String(tab.dataset["snippet"] === name));
  };
  for (const tab of tabs) tab.addEventListener("click", () => show(tab.dataset["snippet"] ?? ""));
  const copy = find("#copy", HTMLButtonElement);
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent ?? "");
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 1_500);
  });
  const toggle = find("#show-code", HTMLButtonElement);
  toggle.addEventListener("click", () => {
    const panel = find("#snippets", HTMLElement);
    panel.hidden = !panel.hidden;
    toggle.setAttribute("aria-expanded", String(!panel.hidden));
    toggle.textContent = panel.hidden ? "Show the code" : "Hide the code";
  });
  find("#one-line", HTMLElement).textContent = `import { createClient } from "${base}sdk/latido.js"`;
  show("js");
}

function javaScript(): string {
  return `import { createClient } from "${base}sdk/latido.js";

const token = () => fetch("${base.pathname}dev/token", { method: "POST", body: '{"user":"ana"}',
  headers: { "Content-Type": "application/json" } }).then(r => r.json()).then(r => r.token);
const room = createClient({ token }).channel("room:lobby");

await room.call("join");
room.on("new_message", ({ from, data }) => console.log(from, data.text));
await room.subscribe({ last: 10 });
await room.publish("new_message", { text: "hola" });`;
}

function curl(): string {
  return `token=$(curl -s ${base}dev/token -d '{"user":"ana"}' | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')

lobby=${base}api/channels/room%3Alobby
curl -H "Authorization: Bearer $token" $lobby/commands/join -d '{"data":{}}'
curl -H "Authorization: Bearer $token" $lobby/events -d '{"event":"new_message","data":{"text":"hola"}}'
curl -H "Authorization: Bearer $token" $lobby/events`;
}

function nats(): string {
  return `# The bus itself, when it is embedded: what browsers see, as it happens.
nats sub 'feed.room.>'
nats sub 'presence.>'

# The system explains itself.
nats stream ls
nats kv ls
nats micro ls`;
}
