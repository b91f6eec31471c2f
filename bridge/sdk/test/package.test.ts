/** The package as others get it: packed, installed, compiled under their settings, and run. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);
const here = process.cwd();
const folder = mkdtempSync(join(tmpdir(), "latido-package-"));
after(() => rmSync(folder, { recursive: true, force: true }));

let tarball = "";
before(async () => {
  const { stdout } = await run("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: here });
  tarball = join(folder, stdout.trim().split("\n").at(-1) ?? "");
});

const strict = { strict: true, skipLibCheck: false, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, isolatedModules: true };

const projects: Record<string, { source: string; options: object; needs: string[] }> = {
  "a bundler's": {
    source: "page.ts",
    options: { module: "ESNext", moduleResolution: "bundler", target: "ES2022", lib: ["ES2022", "DOM", "DOM.Iterable"], types: [], noEmit: true },
    needs: [],
  },
  "Next's": {
    source: "page.ts",
    options: {
      module: "ESNext", moduleResolution: "bundler", target: "ES2017", lib: ["dom", "dom.iterable", "esnext"], types: ["node"], jsx: "preserve",
      allowJs: true, noEmit: true, esModuleInterop: true, resolveJsonModule: true, incremental: false,
    },
    needs: ["@types/node", "undici-types"],
  },
  "a server's": {
    source: "server.ts",
    options: { module: "NodeNext", moduleResolution: "NodeNext", target: "ES2022", lib: ["ES2022"], types: ["node"], outDir: "out" },
    needs: ["@types/node", "undici-types", "@types/ws", "ws"],
  },
};

for (const [whose, { source, options, needs }] of Object.entries(projects)) {
  test(`the package compiles in ${whose} project`, async () => {
    const project = mkdtempSync(join(folder, "project-"));
    writeFileSync(join(project, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }));
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions: { ...strict, ...options }, files: [source] }));
    cpSync(join(here, "test/projects", source), join(project, source));
    await run("npm", ["install", "--silent", "--offline", "--no-audit", "--no-fund", tarball], { cwd: project });
    mkdirSync(join(project, "node_modules/@types"), { recursive: true });
    for (const need of needs) symlinkSync(join(here, "node_modules", need), join(project, "node_modules", need));
    const tsc = join(here, "node_modules/typescript/bin/tsc");
    await run(process.execPath, [tsc, "-p", project], { cwd: project }).catch((error: { stdout: string }) => assert.fail(error.stdout));
    if (source !== "server.ts") return;
    const { stdout, stderr } = await run(process.execPath, ["out/server.js"], { cwd: project });
    assert.deepEqual([stdout, stderr], ["refused 3 times, then closed\n", ""]);
  });
}
