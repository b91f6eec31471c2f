import { find, shape } from "./dom.ts";
import { drawStreets, type Point } from "./streets.ts";
import { hueOf } from "./visitor.ts";

/** The town lies a little askew, as towns do. */
const tilt = -7;

const trailLength = 24;

/** A car that was elsewhere before did not drive there in a straight line. */
const jump = 60;

interface Car {
  readonly body: SVGGElement;
  readonly arrow: SVGGElement;
  readonly trail: SVGPolylineElement;
  points: Point[];
  shown: Point & { heading: number };
  from: Point & { heading: number };
  to: Point & { heading: number };
  since: number;
  takes: number;
}

/** The map and the cars on it. Each fix is a place to glide to, in the time that lay between the last two. */
export class Town {
  readonly #roads = shape("g", { transform: `rotate(${tilt} 400 260)` });
  readonly #trails = shape("g", {});
  readonly #cars = shape("g", {});
  readonly #all = new Map<string, Car>();
  #moving = false;

  constructor() {
    drawStreets(this.#roads);
    this.#roads.append(this.#trails, this.#cars);
    find("#map", SVGSVGElement).append(this.#roads);
  }

  /** A car was at a place. Old places only lengthen the trail. */
  move(user: string, name: string, place: Point, heading: number, old: boolean): void {
    const car = this.#all.get(user) ?? this.#arrive(user, name, place, heading);
    const before = car.points.at(-1) ?? place;
    const driven = Math.hypot(place.x - before.x, place.y - before.y) < jump;
    car.points = driven ? [...car.points, place].slice(-trailLength) : [place];
    const now = performance.now();
    const turn = ((heading - car.shown.heading + 540) % 360) - 180;
    car.from = car.shown;
    car.to = { ...place, heading: car.shown.heading + turn };
    car.takes = old || !driven ? 0 : Math.min(1_500, Math.max(200, now - car.since));
    car.since = now;
    if (!this.#moving) this.#glide();
  }

  leave(user: string): void {
    const car = this.#all.get(user);
    car?.body.remove();
    car?.trail.remove();
    this.#all.delete(user);
    find("#map-hint", HTMLElement).hidden = this.#all.size > 0;
  }

  #arrive(user: string, name: string, place: Point, heading: number): Car {
    const style = `--hue:${hueOf(user)}`;
    const arrow = shape("g", {});
    arrow.append(shape("path", { class: "car-arrow", d: "M0 -9 L6.5 7 L0 3.6 L-6.5 7 Z" }));
    const tag = shape("g", { transform: `rotate(${-tilt})` });
    const text = shape("text", { class: "car-name", y: -24 });
    text.textContent = name;
    const plate = shape("rect", { class: "car-plate", x: -name.length * 3.6 - 9, y: -37, width: name.length * 7.2 + 18, height: 19, rx: 9.5 });
    tag.append(plate, text);
    const body = shape("g", { class: "car", style, "data-user": user });
    const figure = shape("g", { class: "car-figure" });
    figure.append(shape("circle", { class: "car-halo", r: 22 }), shape("circle", { class: "car-disc", r: 13 }), arrow, tag);
    body.append(figure);
    const trail = shape("polyline", { class: "trail", style });
    this.#trails.append(trail);
    this.#cars.append(body);
    const still = { ...place, heading };
    const car: Car = { body, arrow, trail, points: [], shown: still, from: still, to: still, since: performance.now(), takes: 0 };
    this.#all.set(user, car);
    find("#map-hint", HTMLElement).hidden = true;
    return car;
  }

  #glide(): void {
    const now = performance.now();
    this.#moving = false;
    for (const car of this.#all.values()) {
      const part = car.takes === 0 ? 1 : Math.min(1, (now - car.since) / car.takes);
      const mix = (one: number, other: number, share: number): number => one + (other - one) * share;
      car.shown = {
        x: mix(car.from.x, car.to.x, part),
        y: mix(car.from.y, car.to.y, part),
        heading: mix(car.from.heading, car.to.heading, Math.min(1, part * 2.5)),
      };
      car.body.setAttribute("transform", `translate(${car.shown.x} ${car.shown.y})`);
      car.arrow.setAttribute("transform", `rotate(${car.shown.heading})`);
      car.trail.setAttribute("points", [...car.points.slice(0, -1), car.shown].map(({ x, y }) => `${x},${y}`).join(" "));
      if (part < 1) this.#moving = true;
    }
    if (this.#moving) requestAnimationFrame(() => this.#glide());
  }
}
