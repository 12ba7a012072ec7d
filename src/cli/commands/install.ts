import { dirname, join, resolve } from "node:path";
import type { Host } from "../../system/host.ts";
import type { CommandParts } from "../command-parts.ts";
import { CommandError, type ExitCode, exitCodes } from "../exit-codes.ts";
import { usage } from "../parse-time.ts";
import { paint, printable } from "../print.ts";
import { describeService } from "../services/describe-service.ts";
import { isSealed, type ServiceFile, type ServiceKind } from "../services/service.ts";
import {
  endingSteps,
  type ServicePlace,
  serviceFiles,
  servicePlace,
  shellWord,
  startingSteps,
} from "../services/service-place.ts";

export interface ServiceOptions {
  readonly user?: boolean;
  readonly system?: boolean;
  readonly name?: string;
  readonly to?: string;
  readonly yes?: boolean;
}

export interface InstallOptions extends ServiceOptions {
  readonly print?: boolean;
}

const analyzeTimeoutMs = 20_000;

interface Chosen {
  readonly host: Host;
  readonly name: string;
  readonly isSystem: boolean;
  readonly place: ServicePlace;
  /** The options that name this very service again. */
  readonly words: string;
}

async function choose(parts: CommandParts, kind: ServiceKind, options: InstallOptions): Promise<Chosen> {
  if (options.user && options.system) throw usage("Cannot use --user with --system: expected one of them");
  const name = options.name ?? "hermes-supervisor";
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/u.test(name)) {
    throw usage(`Cannot name a service "${printable(name)}": expected letters, digits, _, . and -, at most 64`);
  }
  const host = await parts.loadHost();
  const isSystem = options.system ?? (options.user === undefined && host.user.uid === 0);
  const to = options.to === undefined ? null : resolve(options.to);
  const place = servicePlace(parts, kind, name, isSystem, to, options.print);
  const words = [
    kind,
    isSystem ? "--system" : "--user",
    ...(options.name === undefined ? [] : ["--name", name]),
    ...(options.to === undefined ? [] : ["--to", shellWord(place.folder)]),
  ].join(" ");
  return { host, name, isSystem, place, words };
}

/** Writes the files of a service, and says how to start it and how to take it away again. */
export async function install(parts: CommandParts, kind: ServiceKind, options: InstallOptions): Promise<ExitCode> {
  const { terminal } = parts;
  const { host, name, isSystem, place, words } = await choose(parts, kind, options);
  const foreign = { systemd: "linux", launchd: "darwin", s6: host.platform }[kind] !== host.platform;
  if (foreign && !options.print && options.to === undefined) {
    throw usage(`Cannot install a ${kind} service: this is ${host.platform}, expected --print or --to`);
  }
  const spec = describeService(parts, host, name, isSystem);
  const files = serviceFiles(parts, kind, spec, place);
  for (const warning of warnings(parts, host)) terminal.error(`${paint(terminal, "yellow", "Warning:")} ${warning}\n`);
  if (kind === "systemd") await analyze(parts, host, name, isSystem, files);
  if (options.print) {
    for (const { path, text } of files) terminal.out(files.length === 1 ? text : `==> ${path} <==\n${text}\n`);
    return exitCodes.done;
  }
  const changed = files.filter((file) => readText(parts, file.path) !== file.text);
  await confirm(
    parts,
    options,
    changed.filter(({ path }) => isForeign(parts, path)),
    "write over",
  );
  for (const { path, text, mode } of changed) write(parts, path, text, mode, isSystem);
  for (const { path } of files) {
    const isNew = changed.some((each) => each.path === path);
    terminal.out(`${isNew ? "Wrote" : "Kept "} ${printable(path)}${isNew ? "" : ": it is as it should be"}\n`);
  }
  terminal.out(`Start it: ${printable(startingSteps(kind, spec, place).join(" && "))}\n`);
  const { before, after } = endingSteps(kind, spec, place);
  const undoing = [before, `hermes-supervisor uninstall ${words}`, ...(after === null ? [] : [after])];
  terminal.out(`Undo it:  ${printable(undoing.join(" && "))}\n`);
  return exitCodes.done;
}

/** Takes away what `install` wrote. */
export async function uninstall(parts: CommandParts, kind: ServiceKind, options: ServiceOptions): Promise<ExitCode> {
  const { terminal, system } = parts;
  const { host, name, isSystem, place } = await choose(parts, kind, options);
  const there = place.paths.filter((path) => system.files.statLink(path) !== null);
  if (there.length === 0) {
    terminal.out(`Nothing is installed at ${printable(place.paths[0] ?? "")}\n`);
    return exitCodes.done;
  }
  const { before, after } = endingSteps(kind, { isSystem, name }, place);
  if (kind === "systemd" && options.to === undefined && (await isInUse(host, name, isSystem))) {
    throw new CommandError(
      exitCodes.failed,
      "in_use",
      `Cannot uninstall service "${name}": it is enabled or runs, expected this before: ${before}`,
    );
  }
  await confirm(
    parts,
    options,
    there.filter((path) => isForeign(parts, path)).map((path) => ({ path })),
    "delete",
  );
  for (const path of there) {
    system.files.remove(path);
    terminal.out(`Deleted ${printable(path)}\n`);
  }
  const { ownFolder } = place;
  if (ownFolder !== null) removeOwnFolder(parts, ownFolder);
  if (after !== null) terminal.out(`Then: ${printable(after)}\n`);
  return exitCodes.done;
}

/** A scanner keeps folders of its own beside our files; those go with them, and what a person put there stays. */
function removeOwnFolder({ system, terminal }: CommandParts, folder: string): void {
  const left = system.files.list(folder).filter((name) => name !== "event" && name !== "supervise");
  if (left.length === 0) system.files.removeFolder(folder);
  else terminal.out(`Left ${printable(folder)}: it also holds ${printable(left.join(", "))}\n`);
}

async function isInUse(host: Host, name: string, isSystem: boolean): Promise<boolean> {
  const scope = isSystem ? [] : ["--user"];
  for (const question of ["is-enabled", "is-active"]) {
    const answer = await host.run("systemctl", [...scope, question, `${name}.service`], 5000);
    if (/^(?:enabled|active|activating|reloading|deactivating)$/mu.test(answer?.output ?? "")) return true;
  }
  return false;
}

/** Somebody changed the file, or it is another program's. */
function isForeign(parts: CommandParts, path: string): boolean {
  const text = readText(parts, path);
  // The shortest of them has no room for a checksum.
  return text !== null && !isSealed(text) && !(path.endsWith("/notification-fd") && /^\d+\n?$/u.test(text));
}

function readText({ system }: CommandParts, path: string): string | null {
  return system.files.stat(path) === null ? null : system.files.readText(path);
}

async function confirm(
  { ask, terminal }: CommandParts,
  { yes = false }: ServiceOptions,
  foreign: readonly Pick<ServiceFile, "path">[],
  verb: string,
): Promise<void> {
  if (foreign.length === 0 || yes) return;
  const paths = foreign.map(({ path }) => `"${printable(path)}"`).join(", ");
  const what =
    foreign.length === 1
      ? "it was changed since, or somebody else wrote it"
      : "they were changed since, or somebody else wrote them";
  if (ask === null) {
    throw new CommandError(
      exitCodes.failed,
      "changed",
      `Cannot ${verb} ${paths}: ${what}, expected --yes to ${verb} it all the same`,
    );
  }
  terminal.out(`${paths}: ${what}\n`);
  if (await ask(`Do you want to ${verb} it all the same? [y/N] `)) return;
  throw new CommandError(exitCodes.failed, "changed", "Nothing was changed");
}

function write({ system }: CommandParts, path: string, text: string, mode: number, isSystem: boolean): void {
  try {
    system.files.makeFolder(dirname(path), 0o755, true);
    // A file that was there keeps its mode, which may be the one thing that is wrong with it.
    if (system.files.statLink(path) !== null) system.files.remove(path);
    system.files.replace(path, `.${system.random.token(8)}.tmp`, text, mode);
  } catch (cause) {
    const { code = "" } = cause as NodeJS.ErrnoException;
    if (!["EACCES", "EPERM", "EROFS"].includes(code)) throw cause;
    const remedy = isSystem ? "be root, or take --user" : "make its folder writable for this user";
    throw new CommandError(exitCodes.failed, "system", `Cannot write "${path}": ${code}, ${remedy}`, { cause });
  }
}

function* warnings({ system, rootHome, environment }: CommandParts, host: Host): Iterable<string> {
  if (system.files.stat(rootHome)?.kind !== "folder") {
    yield `there is no home at ${printable(rootHome)}, and the service will not start without one: name another with --home`;
  }
  const temporary = ["/tmp", "/var/tmp", environment["TMPDIR"] ?? "/tmp"].some((folder) =>
    host.programPath.startsWith(`${folder.replace(/\/+$/u, "")}/`),
  );
  if (temporary || host.programPath.includes("/_npx/")) {
    yield `this program is in a temporary folder (${printable(host.programPath)}), which will be gone one day: install it with npm install --global first`;
  }
}

/** Lets systemd itself read the unit, where it is there. What it finds is said, and stops nobody. */
async function analyze(
  { system, terminal, environment }: CommandParts,
  host: Host,
  name: string,
  isSystem: boolean,
  [file]: readonly ServiceFile[],
): Promise<void> {
  const folder = join(environment["TMPDIR"] || "/tmp", `hermes-supervisor-${system.random.token(8)}`);
  const path = join(folder, `${name}.service`);
  system.files.makeFolder(folder, 0o700, false);
  try {
    system.files.create(path, file?.text ?? "", 0o600);
    const scope = isSystem ? [] : ["--user"];
    const answer = await host.run("systemd-analyze", [...scope, "--man=no", "verify", path], analyzeTimeoutMs);
    if (answer === null || answer.exitCode === null) return;
    // It reads all units that ours depends on, and some of those have faults of their own.
    const about = answer.output.split("\n").filter((line) => line.includes(`${name}.service`));
    if (about.length === 0) terminal.error("systemd-analyze verify finds nothing wrong with the unit\n");
    for (const line of about) terminal.error(`systemd-analyze verify: ${printable(line)}\n`);
  } finally {
    system.files.removeFolder(folder);
  }
}
