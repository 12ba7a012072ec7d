import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

// The import table of docs/architecture.md, held against the code. A row says what a folder of src/ may import beside itself.
const root = fileURLToPath(new URL("..", import.meta.url));
const shell = ["core", "system", "worker/protocol.ts"];
const table: Readonly<Record<string, readonly string[]>> = {
  core: [],
  system: ["core"],
  config: shell,
  homes: shell,
  store: shell,
  ledger: shell,
  child: shell,
  output: shell,
  delivery: shell,
  status: shell,
  daemon: [...shell, "config", "homes", "store", "ledger", "child", "output", "delivery", "status"],
  cli: ["core", "system", "config", "homes", "store", "ledger", "output", "status"],
};
const mains = ["src/daemon/main.ts", "src/cli/main.ts"];

interface Source {
  readonly path: string;
  readonly text: string;
  /** Without comments, strings and templates' texts. */
  readonly code: string;
  readonly imports: readonly string[];
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function readSource(path: string): Source {
  const text = readFileSync(join(root, path), "utf8");
  const bare = text.replace(/\/\*[\s\S]*?\*\/|(?<![:"'`\w])\/\/[^\n]*/g, "");
  const found = [...bare.matchAll(/(?:^|\n)\s*(?:import|export)\s[^;]*?from\s*"([^"]+)"|import\(\s*"([^"]+)"\s*\)/g)];
  const imports = found.map((match) => match[1] ?? match[2] ?? "");
  const local = imports.map((name) => (name.startsWith(".") ? relative(root, join(root, dirname(path), name)) : name));
  return { path, text, code: bare.replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, '""'), imports: local };
}

const sources = [...filesBelow("src"), ...filesBelow("worker")].map(readSource);

function folderOf(path: string): string {
  return path.startsWith("src/") ? (path.split("/")[1] ?? "") : path;
}

test("every import keeps to the table", () => {
  const broken = sources.flatMap(({ path, imports }) =>
    imports
      .filter((target) => /^(?:src|worker|test|config)\//.test(target))
      .filter((target) => {
        const from = folderOf(path);
        const to = folderOf(target);
        if (from === to) return false;
        if (path.startsWith("worker/")) return true;
        if (path === "src/cli/commands/start.ts" && target === "src/daemon/main.ts") return false;
        return !(table[from] ?? []).includes(to);
      })
      .map((target) => `${path} imports ${target}`),
  );
  expect(broken).toEqual([]);
});

test("the table has a row for every folder of src, and none for another", () => {
  const folders = readdirSync(join(root, "src"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && filesBelow(`src/${entry.name}`).length > 0)
    .map((entry) => entry.name);
  expect(folders.filter((folder) => table[folder] === undefined)).toEqual([]);
});

test("core imports nothing from outside itself", () => {
  const broken = sources
    .filter(({ path }) => path.startsWith("src/core/"))
    .flatMap(({ path, imports }) =>
      imports.filter((name) => !name.startsWith("src/core/")).map((name) => `${path} imports ${name}`),
    );
  expect(broken).toEqual([]);
});

test("core reads no clock and makes nothing up", () => {
  const broken = sources
    .filter(({ path }) => path.startsWith("src/core/"))
    .filter(({ code }) =>
      /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bperformance\b|\bprocess\s*[.[;]|\bsetTimeout\b|\bcrypto\b/.test(
        code,
      ),
    )
    .map(({ path }) => path);
  expect(broken).toEqual([]);
});

test("only system and the two mains reach the outside world", () => {
  const modules = [
    "node:fs",
    "node:fs/promises",
    "node:child_process",
    "node:timers",
    "node:timers/promises",
    "execa",
    "koffi",
    "chokidar",
    "tree-kill",
  ];
  const words = /\bDate\.now\(|\bprocess\.(?:env|exit|kill)\b|(?<![.\w])set(?:Timeout|Interval|Immediate)\(/;
  const broken = sources
    .filter(({ path }) => !path.startsWith("src/system/") && !mains.includes(path))
    .flatMap(({ path, imports, code }) => [
      ...imports.filter((name) => modules.includes(name)).map((name) => `${path} imports ${name}`),
      ...[...code.matchAll(new RegExp(words, "g"))].map((match) => `${path} uses ${match[0]}`),
    ]);
  expect(broken).toEqual([]);
});

test("no import leads back to where it came from", () => {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const state = new Map<string, "open" | "done">();
  const cycles: string[] = [];
  const visit = (path: string, way: readonly string[]): void => {
    if (state.get(path) === "done") return;
    if (state.get(path) === "open") {
      cycles.push([...way.slice(way.indexOf(path)), path].join(" > "));
      return;
    }
    state.set(path, "open");
    for (const next of byPath.get(path)?.imports ?? []) if (byPath.has(next)) visit(next, [...way, path]);
    state.set(path, "done");
  };
  for (const { path } of sources) visit(path, []);
  expect(cycles).toEqual([]);
});

test("files are named after what is in them", () => {
  const odd = sources
    .map(({ path }) => path.split("/").at(-1) ?? "")
    .filter(
      (name) =>
        !/^[a-z0-9]+(?:-[a-z0-9]+)*\.ts$/.test(name) ||
        /^(?:utils?|common|helpers?|manager|handler|types)\.ts$/.test(name),
    );
  expect(odd).toEqual([]);
});
