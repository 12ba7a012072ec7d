import type { FileIdentity, Files } from "../system/files.ts";
import { findOnPath } from "./find-on-path.ts";
import { parseScriptStart, type ScriptStart } from "./script-python.ts";

/** What an installed Hermes says of itself. */
export interface InstalledHermes {
  /** The interpreter that it is installed in. */
  readonly python: string;
  /** The folder of its code where that interpreter does not know it: an installation from source. */
  readonly checkout: string | null;
  readonly version: string;
  /** The name of the package that it was installed from. */
  readonly release: string;
  /** What this Hermes has, by the names of the worker's probe; a name that is missing is false. */
  readonly features: Readonly<Record<string, boolean>>;
  /** The names that it takes from a script's environment; null where it did not tell. */
  readonly blockedNames: ReadonlySet<string> | null;
  /** What it starts a Python script with; null where that is its interpreter alone. */
  readonly scriptStart: ScriptStart | null;
  /** Differs when anything of its installation, its interpreter or our worker was changed. */
  readonly identity: string;
}

/** An interpreter that Hermes may be installed in. */
export type HermesCandidate = Pick<InstalledHermes, "python" | "checkout">;

/** The variable that tells our worker, and Hermes, where the code of an installation from source is. */
export const checkoutVariable = "HERMES_PYTHON_SRC_ROOT";

/** Where the Hermes of a home may be. Homes with equal places have the same Hermes. */
export interface HermesPlaces {
  /** An interpreter that a setting or HERMES_SUPERVISOR_PYTHON names. Then no other is thought of. */
  readonly named: string | null;
  readonly path: string;
  readonly userHome: string | null;
  readonly rootHome: string;
  /** Folders that pipx and uv are told to install into, where they are. */
  readonly toolFolders: readonly string[];
}

/** Where pipx and uv are told to install into. */
export function toolFolders(variables: Readonly<Record<string, string | undefined>>): readonly string[] {
  const { PIPX_HOME: pipx, UV_TOOL_DIR: uv, XDG_DATA_HOME: data } = variables;
  const folders = [pipx && `${pipx}/venvs`, uv, data && `${data}/pipx/venvs`, data && `${data}/uv/tools`];
  return folders.filter((folder): folder is string => folder?.startsWith("/") === true);
}

/** The commands that Hermes' packages install. */
const commands = ["hermes", "hermesx", "hermes-iot"];
const wrappersMax = 5;
const candidatesMax = 20;

type Reading = Pick<Files, "stat" | "list" | "readPart" | "realPath">;
type ReadingSystem = { readonly files: Reading };

/** Interpreters that Hermes may be installed in, the likeliest first. None of them has been tried. */
export function hermesCandidates(system: ReadingSystem, places: HermesPlaces): readonly HermesCandidate[] {
  const { path, userHome } = places;
  if (places.named !== null) return [namedCandidate(system, places.named, places)];
  const found = new Map<string, HermesCandidate>();
  const addFound = (candidate: HermesCandidate | null): void => {
    if (candidate === null || found.size >= candidatesMax || !isProgram(system, candidate.python)) return;
    const key = candidateKey(candidate);
    if (!found.has(key)) found.set(key, candidate);
  };
  const add = (python: string | null): void => addFound(python === null ? null : { python, checkout: null });
  for (const name of commands) {
    for (const folder of path.split(":")) {
      const command = findOnPath(system, folder, name);
      if (command === null) continue;
      addFound(interpreterOf(system, command, places));
      add(besideTarget(system, command));
    }
  }
  const below = (folder: string): readonly string[] => (userHome === null ? [] : [`${userHome}/${folder}`]);
  const checkouts = [
    `${places.rootHome}/hermes-agent`,
    ...below(".hermes/hermes-agent"),
    "/usr/local/lib/hermes-agent",
    ...named(system, "/opt", /^hermes/u),
  ];
  for (const folder of checkouts) for (const venv of ["venv", ".venv"]) add(`${folder}/${venv}/bin/python`);
  const tools = [
    ...places.toolFolders,
    ...[".local/share/pipx/venvs", ".local/pipx/venvs", ".local/share/uv/tools", ".pyenv/versions"].flatMap(below),
    ...below("Library/Application Support/pipx/venvs"),
    "/opt/pipx/venvs",
    "/opt",
  ];
  for (const folder of tools) {
    for (const tool of named(system, folder, /./u)) {
      if (commands.some((name) => isProgram(system, `${tool}/bin/${name}`))) add(`${tool}/bin/python`);
    }
  }
  // A daemon started by systemd or launchd has a shorter PATH than the person who installed Hermes.
  const binFolders = [...below(".local/bin"), "/usr/local/bin", "/opt/homebrew/bin", "/usr/bin"];
  for (const folder of binFolders) {
    for (const name of commands) {
      const command = findOnPath(system, folder, name);
      if (command !== null) addFound(interpreterOf(system, command, places));
    }
  }
  return [...found.values()];
}

/** Tells one candidate from another. */
export function candidateKey({ python, checkout }: HermesCandidate): string {
  return checkout === null ? python : `${python} ${checkout}`;
}

/** The Python of `.py` scripts: that of Hermes, or the one that is named to be it, else `python3` of the path. */
export function scriptPython(
  system: ReadingSystem,
  places: HermesPlaces,
  hermes: InstalledHermes | null,
  isFinding: boolean,
): string | null {
  if (hermes !== null) return hermes.python;
  const likely = places.named !== null || isFinding ? hermesCandidates(system, places)[0]?.python : undefined;
  return likely ?? findOnPath(system, places.path, "python3");
}

/** A person may name the interpreter, the folder of its virtual environment, or the command that starts Hermes with it. */
function namedCandidate(system: ReadingSystem, name: string, places: HermesPlaces): HermesCandidate {
  const { path, userHome } = places;
  const expanded = name.startsWith("~/") && userHome !== null ? `${userHome}${name.slice(1)}` : name;
  const file = expanded.includes("/") ? expanded : (findOnPath(system, path, expanded) ?? expanded);
  if (kindOf(system, file) === "folder") return { python: `${file.replace(/\/+$/u, "")}/bin/python`, checkout: null };
  const started = isPythonName(file) ? null : interpreterOf(system, file, places);
  return started ?? { python: file, checkout: null };
}

/** The interpreter beside the file that a command is a link to, for commands that are no script. */
function besideTarget(system: ReadingSystem, command: string): string | null {
  try {
    const target = system.files.realPath(command);
    return `${target.slice(0, target.lastIndexOf("/"))}/python`;
  } catch {
    // A dangling link.
    return null;
  }
}

/**
 * The Python that a command starts: that of its `#!`, of the `exec` that pip and uv write where the path is too long for one, or
 * of the command that a wrapper in shell hands over to, as the installer of Hermes writes it.
 */
function interpreterOf(
  system: ReadingSystem,
  command: string,
  places: HermesPlaces,
  depth = 0,
): HermesCandidate | null {
  if (depth > wrappersMax) return null;
  const text = headOf(system, command);
  const shebang = /^#!\s*(\S+)[ \t]*(.*)$/mu.exec(text.split("\n", 1)[0] ?? "");
  if (shebang === null) return null;
  const program = shebang[1] ?? "";
  if (isPythonName(program)) return { python: program, checkout: null };
  const words = (shebang[2] ?? "").split(/\s+/u).filter((word) => word !== "" && !/^-|=/u.test(word));
  if (program.endsWith("/env") && isPythonName(words[0] ?? "")) return onPath(system, words[0] ?? "", places);
  for (const word of execTargets(text, command, places.userHome)) {
    if (isPythonName(word))
      return word.startsWith("/") ? { python: word, checkout: checkoutOf(text) } : onPath(system, word, places);
    const next = word.startsWith("/") ? word : null;
    const python = next === null || next === command ? null : interpreterOf(system, next, places, depth + 1);
    if (python !== null) return python;
  }
  return null;
}

/** The code that a launcher of an installation from source puts before its interpreter's own, as the shell's quotes show it. */
function checkoutOf(text: string): string | null {
  const path = /sys\.path\.insert\(0, (?:'"'"'|')(\/[^'"]+)(?:'"'"'|')\)/u.exec(text)?.[1];
  return path ?? null;
}

/** What the `exec` lines of a shell script start, with the variables that it sets itself put in. The last is the usual one. */
function execTargets(text: string, command: string, userHome: string | null): readonly string[] {
  const folder = command.slice(0, command.lastIndexOf("/"));
  const variables = new Map([["HOME", userHome ?? ""]]);
  const expand = (word: string): string =>
    word
      .replace(/"?\$\(dirname -- "\$\(realpath -- "\$0"\)"\)"?/gu, folder)
      .replace(/\$(?:\{(\w+)\}|(\w+))/gu, (all, a?: string, b?: string) => variables.get(a ?? b ?? "") ?? all)
      .replace(/['"]/gu, "");
  const targets: string[] = [];
  for (const line of text.split("\n")) {
    const set = /^\s*(?:export\s+)?(\w+)=("[^"]*"|'[^']*'|\S*)\s*$/u.exec(line);
    if (set !== null) variables.set(set[1] ?? "", expand(set[2] ?? ""));
    const exec =
      /^\s*(?:'''|"")?exec'?\s+(?:-a\s+\S+\s+|-\S+\s+)*((?:"\$\(dirname[^\n]*?\)"\)"|"[^"]*"|'[^']*'|[^\s"'])+)/u.exec(
        line,
      );
    if (exec !== null) targets.unshift(expand(exec[1] ?? ""));
  }
  return targets;
}

function onPath(system: ReadingSystem, name: string, { path }: HermesPlaces): HermesCandidate | null {
  const python = findOnPath(system, path, name);
  return python === null ? null : { python, checkout: null };
}

function isPythonName(program: string): boolean {
  return /^python[\d.]*$/u.test(program.slice(program.lastIndexOf("/") + 1));
}

function headOf(system: ReadingSystem, path: string): string {
  try {
    return new TextDecoder().decode(system.files.readPart(path, 0, 4096));
  } catch {
    // Not readable: then it is not a script that could tell.
    return "";
  }
}

/** The folders in `folder` whose names match. */
function named(system: ReadingSystem, folder: string, pattern: RegExp): readonly string[] {
  return listOf(system, folder)
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => `${folder}/${name}`);
}

function listOf(system: ReadingSystem, folder: string): readonly string[] {
  try {
    return system.files.list(folder);
  } catch {
    // Not there, or not ours to look into.
    return [];
  }
}

function isProgram(system: ReadingSystem, path: string): boolean {
  return kindOf(system, path) === "file";
}

function kindOf(system: ReadingSystem, path: string): string | null {
  try {
    return system.files.stat(path)?.kind ?? null;
  } catch {
    return null;
  }
}

/** Where the packages of an interpreter are, also those of its user where it has no virtual environment. */
function packageFolders(system: ReadingSystem, python: string, userHome: string | null): readonly string[] {
  const prefix = python.split("/").slice(0, -2).join("/");
  const isVirtual = kindOf(system, `${prefix}/pyvenv.cfg`) !== null;
  const roots = isVirtual ? [prefix] : [prefix, "/usr/local", ...(userHome === null ? [] : [`${userHome}/.local`])];
  return [...new Set(roots)].flatMap((root) =>
    named(system, `${root}/lib`, /^python3/u).flatMap((folder) => [
      `${folder}/site-packages`,
      `${folder}/dist-packages`,
    ]),
  );
}

/**
 * Differs when the interpreter, the worker or what is installed of Hermes was changed or replaced: then an answer of before no
 * longer counts. `told` are files that Hermes itself named.
 */
export function hermesIdentity(
  system: ReadingSystem,
  { python, checkout }: HermesCandidate,
  workerPath: string,
  userHome: string | null,
  told: readonly string[],
): string {
  const packages = packageFolders(system, python, userHome);
  const records = packages.flatMap((folder) =>
    named(system, folder, /hermes.*\.(?:dist-info|egg-link|pth)$/iu).map((path) =>
      path.endsWith(".dist-info") ? `${path}/RECORD` : path,
    ),
  );
  // An installation from a checkout: its code changes with every pull, its entry among the packages need not.
  const source = checkout ?? python.split("/").slice(0, -3).join("/");
  const code = [...packages, source].flatMap((folder) => [
    `${folder}/cron/scheduler.py`,
    `${folder}/hermes_cli/__init__.py`,
  ]);
  const paths = new Set([python, workerPath, ...records, ...code, ...told]);
  const seen = [...paths].map((path) => [path, stampOf(system, path)] as const).filter(([, stamp]) => stamp !== "");
  return seen.map(([path, stamp]) => `${path} ${stamp}`).join("\n");
}

/** Whether all files of an identity are as they were. What was added since does not show: the whole identity tells that. */
export function isUntouched(system: ReadingSystem, identity: string): boolean {
  return identity.split("\n").every((line) => {
    const end = line.lastIndexOf(" ");
    return stampOf(system, line.slice(0, end)) === line.slice(end + 1);
  });
}

function stampOf(system: ReadingSystem, path: string): string {
  let stat: FileIdentity | null;
  try {
    stat = system.files.stat(path);
  } catch {
    return "";
  }
  return stat === null ? "" : `${stat.device}:${stat.inode}:${stat.sizeBytes}:${stat.modifiedNs}:${stat.changedNs}`;
}

/** The note of the ledger that keeps what was answered across restarts. */
export const hermesNote = "hermes";

/** An answer to the probe, with the files that Hermes named as its own. */
export interface HermesRecord {
  readonly hermes: InstalledHermes;
  readonly files: readonly string[];
}

/** Reads what the worker answered to `{"ask": "probe"}`; null when it is no such answer. */
export function parseProbe(
  { python, checkout }: HermesCandidate,
  identity: string,
  answer: unknown,
): HermesRecord | null {
  const { version, release, features, blocked_names: blocked, script_start: start, files } = asRecord(answer);
  if (typeof version !== "string" || version === "") return null;
  const names = texts(blocked);
  return {
    hermes: {
      python,
      checkout,
      version,
      release: typeof release === "string" ? release : "",
      features: Object.fromEntries(
        Object.entries(asRecord(features)).filter((entry): entry is [string, boolean] => typeof entry[1] === "boolean"),
      ),
      blockedNames: names.length === 0 ? null : new Set(names),
      scriptStart: parseScriptStart(start),
      identity,
    },
    files: texts(files),
  };
}

/** What an earlier daemon or this one wrote down, by `candidateKey`. What cannot be read of a note counts as nothing. */
export function parseHermesNote(text: string | null): ReadonlyMap<string, HermesRecord> {
  const records = new Map<string, HermesRecord>();
  let note: unknown = null;
  try {
    note = text === null ? null : JSON.parse(text);
  } catch {
    // Of another version of this program: Hermes is asked again.
  }
  for (const value of Array.isArray(note) ? note : []) {
    const { python, checkout, identity, ...answer } = asRecord(value);
    if (typeof python !== "string" || typeof identity !== "string") continue;
    const candidate = { python, checkout: typeof checkout === "string" ? checkout : null };
    const record = parseProbe(candidate, identity, answer);
    if (record !== null) records.set(candidateKey(candidate), record);
  }
  return records;
}

export function formatHermesNote(records: Iterable<HermesRecord>): string {
  return JSON.stringify(
    Array.from(records, ({ hermes: { blockedNames, scriptStart, ...hermes }, files }) => ({
      ...hermes,
      blocked_names: [...(blockedNames ?? [])],
      script_start: scriptStart,
      files,
    })),
  );
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : {};
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === "string" && one !== "") : [];
}
