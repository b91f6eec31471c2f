import { find } from "./dom.ts";
import { DevTokensOff, randomName, visit, visitWith, type Visitor } from "./visitor.ts";

/** Survives a reload, and is not shared with other windows: a second window is a second visitor. */
const slot = "latido:visitor";

/** Asks for a name, once for each tab, or for a token where the server gives none. */
export async function enter(): Promise<Visitor> {
  const remembered = sessionStorage.getItem(slot);
  const visitor = await (remembered === null ? ask() : visit(remembered).catch(askAfter));
  find("#door", HTMLDialogElement).close();
  return visitor;
}

/** The next load asks again. */
export function forget(): void {
  sessionStorage.removeItem(slot);
}

function askAfter(error: unknown): Promise<Visitor> {
  return error instanceof DevTokensOff ? askForToken() : ask(messageOf(error));
}

function ask(complaint = ""): Promise<Visitor> {
  const input = find("#name", HTMLInputElement);
  input.value = randomName();
  find("#another", HTMLButtonElement).addEventListener("click", () => {
    input.value = randomName();
    input.focus();
  });
  open("#name-form", complaint);
  input.select();
  return submitted("#name-form", async () => {
    const name = input.value.trim() || randomName();
    const visitor = await visit(name);
    sessionStorage.setItem(slot, name);
    return visitor;
  });
}

function askForToken(): Promise<Visitor> {
  open("#token-form");
  return submitted("#token-form", async () => visitWith(find("#token", HTMLTextAreaElement).value.trim()));
}

function open(form: string, complaint = ""): void {
  for (const other of ["#name-form", "#token-form"]) find(other, HTMLFormElement).hidden = other !== form;
  find("#complaint", HTMLElement).textContent = complaint;
  const door = find("#door", HTMLDialogElement);
  if (!door.open) door.showModal();
}

function submitted(form: string, visitor: () => Promise<Visitor>): Promise<Visitor> {
  return new Promise((resolve) => {
    find(form, HTMLFormElement).addEventListener("submit", async (submit) => {
      submit.preventDefault();
      try {
        resolve(await visitor());
      } catch (error) {
        if (error instanceof DevTokensOff) resolve(askForToken());
        else find("#complaint", HTMLElement).textContent = messageOf(error);
      }
    });
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
