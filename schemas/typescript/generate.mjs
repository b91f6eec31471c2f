// Prints {folder: module} as JSON: the TypeScript types of each folder named as an argument. Run by ../internal/gen.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { compile } from "json-schema-to-typescript";

const schemas = dirname(dirname(fileURLToPath(import.meta.url)));

/** Every group of bodies becomes a union, so that a switch over `op` knows what it has. */
const groups = { commands: "Command", events: "Event", answers: "Answer", requests: "Request", notices: "Notice" };

const files = new Map();

/** Reads a schema with its references resolved; a file is one object however often it is met, so that it becomes one type. */
function read(path) {
  if (!files.has(path)) files.set(path, resolve(JSON.parse(readFileSync(path, "utf8")), path));
  return files.get(path);
}

/** A reference to an object is its type. One to anything smaller is written out, lest each use become a type of its own. */
function resolve(value, path) {
  if (Array.isArray(value)) return value.map((item) => resolve(item, path));
  if (value === null || typeof value !== "object") return value;
  const { $ref, $id, $schema, ...own } = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item, path)]));
  if ($ref === undefined) return isAny(own) ? { ...own, tsType: "unknown" } : own;
  const target = read(join(dirname(path), $ref));
  if (target.type === "object" && own.title === undefined) return target;
  return { ...target, title: undefined, ...own };
}

/** A property that is described and not restricted may be any JSON, where the compiler would take it for an object. */
const isAny = (schema) => typeof schema.description === "string" && Object.keys(schema).length === 1;

const bodies = (folder) =>
  readdirSync(folder)
    .filter((file) => file.endsWith(".json") && !file.endsWith(".example.json"))
    .sort()
    .map((file) => read(join(folder, file)));

const unions = (folder) =>
  readdirSync(folder)
    .filter((group) => group in groups)
    .sort()
    .map((group) => ({ title: groups[group], anyOf: bodies(join(folder, group)) }));

const modules = {};
for (const folder of process.argv.slice(2)) {
  const path = join(schemas, folder);
  modules[folder] = await compile({ title: "Body", anyOf: [...unions(path), ...bodies(path)] }, "Body", {
    bannerComment: "",
    ignoreMinAndMaxItems: true,
    style: { printWidth: 120 },
  });
}
process.stdout.write(JSON.stringify(modules));
