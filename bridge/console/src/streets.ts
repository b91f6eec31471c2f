import { shape } from "./dom.ts";

export interface Point {
  x: number;
  y: number;
}

/** A town that is nowhere: a grid with a park, an avenue that crosses it and a river below; larger than any window. */
const columns = [-560, -470, -380, -270, -170, -70, 40, 130, 235, 330, 430, 530, 640, 740, 870, 960, 1070, 1170, 1280, 1380];
const rows = [-480, -390, -310, -210, -130, -45, 40, 120, 215, 300, 385, 470, 580, 670, 750, 850, 940];

/** The park's corners on the grid; no street runs through it. */
const park = { left: 8, right: 10, top: 7, bottom: 9 };

/** Crossings that the avenue joins, beside the streets. */
const avenue: [number, number][] = [[8, 11], [9, 10], [10, 9], [11, 8], [12, 7], [13, 6], [14, 5], [15, 4]];

/** South-west corner of the town on the globe, and how large a unit is. */
const corner = { lat: 40.41, lng: -3.71 };
const degree = 0.000_012;

export interface Crossing extends Point {
  neighbours: Crossing[];
}

export const crossings: Crossing[] = layOut();

export function toGlobe({ x, y }: Point): { lat: number; lng: number } {
  return { lat: corner.lat - y * degree, lng: corner.lng + x * degree };
}

export function toMap(fix: { lat: number; lng: number }): Point {
  return { x: (fix.lng - corner.lng) / degree, y: (corner.lat - fix.lat) / degree };
}

function inPark(column: number, row: number): boolean {
  return column > park.left && column < park.right && row > park.top && row < park.bottom;
}

function layOut(): Crossing[] {
  const grid = columns.map((x, column) => rows.map((y, row) => (inPark(column, row) ? undefined : { x, y, neighbours: [] as Crossing[] })));
  const join = (one: Crossing | undefined, other: Crossing | undefined): void => {
    if (!one || !other) return;
    one.neighbours.push(other);
    other.neighbours.push(one);
  };
  for (const [column, line] of grid.entries()) {
    for (const [row, crossing] of line.entries()) {
      join(crossing, line[row + 1]);
      join(crossing, grid[column + 1]?.[row]);
    }
  }
  for (const [index, [column, row]] of avenue.entries()) {
    const next = avenue[index + 1];
    if (next) join(grid[column]?.[row], grid[next[0]]?.[next[1]]);
  }
  return grid.flat().filter((crossing) => crossing !== undefined);
}

/** Draws the town into a group. */
export function drawStreets(into: SVGGElement): void {
  const at = (column: number, row: number): Point => ({ x: columns[column] ?? 0, y: rows[row] ?? 0 });
  const topLeft = at(park.left, park.top);
  const bottomRight = at(park.right, park.bottom);
  into.append(
    ...buildings(),
    shape("path", { class: "water", d: "M-640 560 C -420 500 -160 470 -20 456 S 180 490 330 452 S 560 372 700 408 S 980 380 1180 290 S 1360 240 1460 250" }),
    shape("rect", { class: "park", x: topLeft.x, y: topLeft.y, width: bottomRight.x - topLeft.x, height: bottomRight.y - topLeft.y, rx: 10 }),
    shape("ellipse", { class: "pond", cx: 350, cy: 232, rx: 34, ry: 20 }),
    ...trees(),
  );
  const roads = edges();
  for (const layer of ["casing", "road"]) {
    for (const { path, wide } of roads) into.append(shape("path", { class: wide ? `${layer} wide` : layer, d: path }));
  }
  into.append(label("Avenida del Pulso", 585, 262, -39), label("Parque Latido", 380, 262, 0), label("Río Manso", 182, 468, 2));
}

function edges(): { path: string; wide: boolean }[] {
  const line = (one: Point, other: Point): string => `M${one.x} ${one.y}L${other.x} ${other.y}`;
  const found: { path: string; wide: boolean }[] = [];
  for (const one of crossings) {
    for (const other of one.neighbours) {
      if (one.x > other.x || (one.x === other.x && one.y > other.y)) continue;
      const diagonal = one.x !== other.x && one.y !== other.y;
      const main = (one.y === 300 && other.y === 300) || (one.x === 530 && other.x === 530);
      found.push({ path: line(one, other), wide: diagonal || main });
    }
  }
  return found;
}

/** Houses in the blocks, always the same ones. */
function buildings(): SVGElement[] {
  let seed = 11;
  const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const houses: SVGElement[] = [];
  for (let column = 0; column < columns.length - 1; column++) {
    for (let row = 0; row < rows.length - 1; row++) {
      const [left = 0, right = 0] = [columns[column], columns[column + 1]];
      const [top = 0, bottom = 0] = [rows[row], rows[row + 1]];
      for (let x = left + 12; x < right - 24; x += 20 + random() * 16) {
        for (let y = top + 12; y < bottom - 22; y += 18 + random() * 14) {
          if (random() < 0.3) continue;
          houses.push(shape("rect", { class: "house", x, y, width: 12 + random() * 10, height: 10 + random() * 8, rx: 1.5 }));
        }
      }
    }
  }
  return houses;
}

function trees(): SVGElement[] {
  const places = [[255, 140], [268, 152], [262, 270], [280, 282], [300, 150], [405, 145], [412, 165], [410, 280], [330, 285], [390, 200], [285, 205]];
  return places.map(([cx = 0, cy = 0], nth) => shape("circle", { class: "tree", cx, cy, r: 5 + (nth % 3) * 2 }));
}

function label(text: string, x: number, y: number, angle: number): SVGElement {
  const written = shape("text", { class: "street-name", x, y, transform: `rotate(${angle} ${x} ${y})` });
  written.textContent = text;
  return written;
}
