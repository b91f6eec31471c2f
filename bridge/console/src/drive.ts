import { Refusal, codes, type Channel, type Client } from "latido";
import { find } from "./dom.ts";
import type { Meta } from "./people.ts";
import { crossings, toGlobe, type Crossing, type Point } from "./streets.ts";
import type { Visitor } from "./visitor.ts";

const every = 500;

/** Units of the map in a second. */
const speed = 26;

/** Our own car: wanders through the town and reports where it is, twice a second. */
export class Drive {
  readonly #track: Channel;
  readonly #lobby: Channel;
  readonly #me: Visitor;
  readonly #button = find("#drive", HTMLButtonElement);
  #wheel: ReturnType<typeof setInterval> | undefined;
  #from: Crossing;
  #to: Crossing;
  #done = 0;

  constructor(client: Client, lobby: Channel, me: Visitor) {
    this.#lobby = lobby;
    this.#me = me;
    this.#track = client.channel(trackOf(me.user));
    const visible = crossings.filter(inSight);
    this.#from = visible[Math.floor(Math.random() * visible.length)] as Crossing;
    this.#to = this.#next();
    this.#button.addEventListener("click", () => void this.#toggle());
    this.#button.disabled = false;
  }

  async #toggle(): Promise<void> {
    const driving = this.#wheel === undefined;
    this.#button.setAttribute("aria-pressed", String(driving));
    this.#button.textContent = driving ? "Stop driving" : "Drive";
    if (driving) {
      this.#wheel = setInterval(() => this.#step(), every);
      await openTrack(this.#track, this.#me);
    } else {
      clearInterval(this.#wheel);
      this.#wheel = undefined;
    }
    await this.#lobby.track({ driving } satisfies Meta);
  }

  #step(): void {
    const length = Math.hypot(this.#to.x - this.#from.x, this.#to.y - this.#from.y);
    this.#done += (speed * every) / 1000;
    if (this.#done >= length) {
      this.#done -= length;
      [this.#from, this.#to] = [this.#to, this.#next(this.#from, this.#to)];
    }
    const fix = { ...toGlobe(this.#place()), heading: this.#heading(), speed: 9, at: new Date().toISOString() };
    // A place where we no longer are is of no use to anybody, so it is not kept for later.
    this.#track.publish("coords_update", fix, { volatile: true }).catch(() => {});
  }

  #place(): Point {
    const length = Math.hypot(this.#to.x - this.#from.x, this.#to.y - this.#from.y);
    const part = this.#done / length;
    return { x: this.#from.x + (this.#to.x - this.#from.x) * part, y: this.#from.y + (this.#to.y - this.#from.y) * part };
  }

  #heading(): number {
    const degrees = (Math.atan2(this.#to.x - this.#from.x, this.#from.y - this.#to.y) * 180) / Math.PI;
    return (degrees + 360) % 360;
  }

  /** Any street but the one we come from, as long as it stays in sight. */
  #next(from?: Crossing, at: Crossing = this.#from): Crossing {
    const visible = at.neighbours.filter(inSight);
    const onward = visible.filter((crossing) => crossing !== from);
    const choice = onward.length > 0 ? onward : visible;
    return choice[Math.floor(Math.random() * choice.length)] as Crossing;
  }
}

/** The middle of the town, which every window shows. */
function inSight({ x, y }: Point): boolean {
  return x > 120 && x < 680 && y > 110 && y < 400;
}

export function trackOf(user: string): string {
  return `tracking:demo-${user}`;
}

/** A track is opened once in its life; the constant key makes every later attempt the same request. */
async function openTrack(track: Channel, { user }: Visitor): Promise<void> {
  try {
    await track.call("open", { operator: user, watchers: [], public: true }, { key: "demo" });
  } catch (error) {
    const known: number[] = [codes.exists, codes.key_reused];
    if (!(error instanceof Refusal && known.includes(error.code))) throw error;
  }
}
