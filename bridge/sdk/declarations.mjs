/**
 * Makes types/, the declarations that go into the package beside the bundle: what index.ts exports, and the types of
 * the protocol, which lie outside of this folder. Run by `npm pack`; not committed.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const made = `${here}node_modules/.types`;
const types = `${here}types`;

rmSync(made, { recursive: true, force: true });
rmSync(types, { recursive: true, force: true });
const options = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--stripInternal", "--rootDir", "../..", "--outDir", made];
execFileSync(process.execPath, [`${here}node_modules/typescript/bin/tsc`, "-p", here, ...options], { cwd: here, stdio: "inherit" });
mkdirSync(types);
cpSync(`${made}/bridge/sdk/src`, types, { recursive: true });
cpSync(`${made}/schemas/typescript`, `${types}/schemas`, { recursive: true });
for (const name of readdirSync(types, { recursive: true })) {
  if (!name.endsWith(".d.ts")) continue;
  const text = readFileSync(`${types}/${name}`, "utf8");
  // A path that ends with .ts is not for everybody's settings.
  const own = text.replaceAll("../../../schemas/typescript/", "./schemas/").replace(/(from|import\()(\s*)"(\.[^"]*)\.ts"/g, '$1$2"$3.js"');
  writeFileSync(`${types}/${name}`, own);
}
