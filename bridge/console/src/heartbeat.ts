import { find } from "./dom.ts";

export type Beat = "message" | "presence" | "position";

/** How much of the past the line shows, in milliseconds. */
const span = 14_000;

const heights: Record<Beat, number> = { message: 1, presence: 0.6, position: 0.28 };

/** The line of life of this connection: one beat for each event, flat while it is cut. */
export class Heartbeat {
  readonly #canvas = find("#heartbeat", HTMLCanvasElement);
  #beats: { at: number; kind: Beat }[] = [];
  #flat: { from: number; to: number }[] = [];

  constructor() {
    const draw = (): void => {
      this.#draw();
      requestAnimationFrame(draw);
    };
    draw();
  }

  beat(kind: Beat): void {
    this.#beats.push({ at: Date.now(), kind });
  }

  /** The connection has gone or come. */
  alive(alive: boolean): void {
    const open = this.#flat.find(({ to }) => to === Infinity);
    if (alive && open) open.to = Date.now();
    if (!alive && !open) this.#flat.push({ from: Date.now(), to: Infinity });
  }

  #draw(): void {
    const now = Date.now();
    this.#beats = this.#beats.filter(({ at }) => at > now - span - 1_000);
    this.#flat = this.#flat.filter(({ to }) => to > now - span - 1_000);
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const context = this.#canvas.getContext("2d");
    if (!context || width === 0) return;
    const scale = devicePixelRatio;
    if (this.#canvas.width !== width * scale || this.#canvas.height !== height * scale) {
      this.#canvas.width = width * scale;
      this.#canvas.height = height * scale;
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    const style = getComputedStyle(this.#canvas);
    const x = (at: number): number => width - 18 - ((now - at) / span) * width;
    this.#line(context, style, x, height, width);
    this.#marks(context, style, x, height, now);
  }

  #line(context: CanvasRenderingContext2D, style: CSSStyleDeclaration, x: (at: number) => number, height: number, width: number): void {
    const base = height * 0.62;
    const fade = context.createLinearGradient(0, 0, width, 0);
    fade.addColorStop(0.02, "transparent");
    fade.addColorStop(0.25, style.getPropertyValue("--pulse"));
    fade.addColorStop(1, style.getPropertyValue("--pulse"));
    context.strokeStyle = fade;
    context.lineWidth = 2;
    context.lineJoin = "round";
    context.beginPath();
    context.moveTo(width - 18, base);
    let pen = width - 18;
    let newer = Infinity;
    for (const { at, kind } of [...this.#beats].reverse()) {
      const right = Math.min(x(at), pen);
      // Messages that come together, as in a replay, stand close side by side; positions are too many for that.
      if (kind === "position" && right < x(at)) continue;
      const tall = base * 0.85 * heights[kind];
      const wide = kind === "position" ? 6 : Math.max(5, Math.min(12, newer - x(at)));
      newer = x(at);
      context.lineTo(right, base);
      context.lineTo(right - wide * 0.25, base + tall * 0.35);
      context.lineTo(right - wide * 0.5, base - tall);
      context.lineTo(right - wide * 0.75, base + tall * 0.18);
      context.lineTo(right - wide, base);
      pen = right - wide;
    }
    context.lineTo(0, base);
    context.stroke();
  }

  #marks(context: CanvasRenderingContext2D, style: CSSStyleDeclaration, x: (at: number) => number, height: number, now: number): void {
    const base = height * 0.62;
    for (const { from, to } of this.#flat) {
      const left = x(from);
      const right = x(Math.min(to, now));
      context.fillStyle = style.getPropertyValue("--flat");
      context.fillRect(left, 0, right - left, height);
      context.fillStyle = style.getPropertyValue("--still");
      context.fillRect(left, base - 1.5, right - left, 3);
    }
    const alive = !this.#flat.some(({ to }) => to === Infinity);
    context.fillStyle = style.getPropertyValue(alive ? "--pulse" : "--still");
    context.beginPath();
    context.arc(x(now), base, 4, 0, 2 * Math.PI);
    context.fill();
  }
}
