import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import type { Files } from "../system/files.ts";
import type { System } from "../system/system.ts";
import {
  applyEdit,
  type GatewaySettings,
  type ProviderEdit,
  ProviderEditError,
  planProviderEdit,
  providerName,
  readGatewaySettings,
  undoProviderEdit,
} from "./provider-edit.ts";

/** A home whose gateway is attached or not; the message of what went wrong names its file. */
export class AttachmentError extends Error {
  override readonly name = "AttachmentError";
}

/** The plugin's `settings.json`: where our state is, and all that it takes to put config.yaml back. */
interface Settings {
  readonly state: string;
  readonly home: string;
  readonly version: string;
  readonly config: {
    /** Null where the file selected us already. */
    readonly edit: ProviderEdit | null;
    readonly existed: boolean;
    /** Of the file as we left it. */
    readonly sha256: string;
  };
  readonly madePluginsFolder: boolean;
}

export interface AttachmentHome {
  readonly name: string;
  readonly path: string;
}

/** What attaching or detaching would do to a home. `texts` are config.yaml before and after, null for no file. */
export interface AttachmentPlan {
  readonly home: AttachmentHome;
  readonly configPath: string;
  readonly pluginFolder: string;
  readonly texts: { readonly before: string | null; readonly after: string | null };
  /** Nothing is to be done. */
  readonly isDone: boolean;
  carryOut(): void;
}

const marker = "Hermes Supervisor's part of a Hermes gateway";
/** All that attaching and running leave in the plugin's folder. */
const ownFiles: readonly string[] = ["__init__.py", "settings.json", "loaded.json"];

/** Throws AttachmentError where it cannot be done; nothing is written before `carryOut`. */
export function planAttach(
  system: Pick<System, "files" | "random">,
  home: AttachmentHome,
  stateFolder: string,
  plugin: { readonly text: string; readonly version: string },
): AttachmentPlan {
  const { files } = system;
  const { configPath, pluginFolder, programPath, settingsPath } = pathsOf(home);
  const before = readConfig(files, configPath);
  const edit = guarded(configPath, () => planProviderEdit(before ?? ""));
  const gateway = guarded(configPath, () => readGatewaySettings(before ?? ""));
  if (gateway.isolatesPlugins) {
    throw new AttachmentError(
      `Cannot attach "${home.name}": plugins.isolation in "${configPath}" is "host", and then a plugin does not reach the gateway's ticker. Remove that line and attach again`,
    );
  }
  const after = edit === null ? before : applyEdit(before ?? "", edit);
  const present = readOrNull(files, programPath);
  if (present !== null && !present.slice(0, 200).includes(marker)) {
    throw new AttachmentError(
      `Cannot attach "${home.name}": "${programPath}" is another plugin. Move its folder away and attach again`,
    );
  }
  const known = readSettings(files, settingsPath);
  const settings: Settings = {
    state: stateFolder,
    home: home.name,
    version: plugin.version,
    // What was there before us is known only to whoever changed it.
    config:
      edit === null && known !== null ? known.config : { edit, existed: before !== null, sha256: sha256(after ?? "") },
    madePluginsFolder: known?.madePluginsFolder ?? files.stat(dirname(pluginFolder)) === null,
  };
  const settingsText = `${JSON.stringify(settings, null, 2)}\n`;
  const isSettled = readOrNull(files, settingsPath) === settingsText;
  return {
    home,
    configPath,
    pluginFolder,
    texts: { before, after },
    isDone: edit === null && present === plugin.text && isSettled,
    carryOut() {
      requireUnchanged(files, configPath, before);
      files.makeFolder(pluginFolder, 0o700, true);
      const write = (path: string, text: string): void =>
        void files.replace(path, `.${system.random.uuidHex()}.tmp`, text, 0o600);
      // The setting comes last: it means nothing while its plugin is not whole.
      if (!isSettled) write(settingsPath, settingsText);
      if (present !== plugin.text) write(programPath, plugin.text);
      if (after !== null && after !== before) write(configPath, after);
    },
  };
}

/** Throws AttachmentError where it cannot be done; nothing is written before `carryOut`. */
export function planDetach(system: Pick<System, "files" | "random">, home: AttachmentHome): AttachmentPlan {
  const { files } = system;
  const { configPath, pluginFolder, settingsPath } = pathsOf(home);
  const before = readConfig(files, configPath);
  const settings = readSettings(files, settingsPath);
  const after = before === null ? null : guarded(configPath, () => detachedText(before, settings));
  const isOurs = settings !== null || (readOrNull(files, join(pluginFolder, "__init__.py")) ?? "").includes(marker);
  return {
    home,
    configPath,
    pluginFolder,
    texts: { before, after },
    isDone: before === after && !isOurs,
    carryOut() {
      requireUnchanged(files, configPath, before);
      if (after === null && before !== null) files.remove(configPath);
      else if (after !== null && after !== before)
        files.replace(configPath, `.${system.random.uuidHex()}.tmp`, after, 0o600);
      if (isOurs) removePlugin(files, pluginFolder, settings?.madePluginsFolder ?? false);
    },
  };
}

/** Null: the file was made by attaching and holds nothing else. */
function detachedText(text: string, settings: Settings | null): string | null {
  const nothingKnown: ProviderEdit = { at: 0, removed: "", inserted: "", valueAt: 0 };
  const { edit, existed, sha256: left } = settings?.config ?? { edit: null, existed: true, sha256: "" };
  const undone =
    edit !== null && sha256(text) === left
      ? text.slice(0, edit.at) + edit.removed + text.slice(edit.at + edit.inserted.length)
      : (undoProviderEdit(text, edit ?? nothingKnown) ?? text);
  return !existed && undone === "" ? null : undone;
}

function removePlugin(files: Files, folder: string, withParent: boolean): void {
  for (const name of ownFiles) if (files.statLink(join(folder, name)) !== null) files.remove(join(folder, name));
  const compiled = join(folder, "__pycache__");
  if (files.statLink(compiled)?.kind === "folder") files.removeFolder(compiled);
  if (files.stat(folder) !== null && files.list(folder).length === 0) files.removeFolder(folder);
  const parent = dirname(folder);
  if (withParent && files.stat(parent) !== null && files.list(parent).length === 0) files.removeFolder(parent);
}

export interface Attachment {
  readonly attached: boolean;
  /** What `cron.provider` names, "" for Hermes' own ticker; null when config.yaml cannot be read. */
  readonly provider: string | null;
  readonly plugin: "as_shipped" | "changed" | "absent";
  /** The state folder whose daemon the plugin looks at. */
  readonly state: string | null;
  readonly standalone: boolean;
  /** Why it does not work as it should, as sentences. */
  readonly problems: readonly string[];
}

export function readAttachment(
  system: Pick<System, "files">,
  home: AttachmentHome,
  stateFolder: string,
  pluginText: string,
): Attachment {
  const { files } = system;
  const { configPath, programPath, settingsPath } = pathsOf(home);
  const problems: string[] = [];
  let gateway: GatewaySettings | null = null;
  try {
    gateway = guarded(configPath, () => readGatewaySettings(readConfig(files, configPath) ?? ""));
  } catch (error) {
    if (!(error instanceof AttachmentError)) throw error;
    problems.push(error.message);
  }
  const present = readOrNull(files, programPath);
  const settings = readSettings(files, settingsPath);
  const plugin = present === null ? "absent" : present === pluginText ? "as_shipped" : "changed";
  const selected = gateway?.provider === providerName;
  const attached = selected && plugin !== "absent" && settings !== null;
  if (selected && !attached) {
    problems.push(`cron.provider names us, but "${dirname(programPath)}" is not whole: attach again`);
  }
  if (attached && plugin === "changed") problems.push("The plugin's file is not the one of this version: attach again");
  if (attached && settings.state !== stateFolder) {
    problems.push(`It looks at the daemon of "${settings.state}", and not at this one: attach again`);
  }
  if (attached && gateway?.isolatesPlugins) {
    problems.push('plugins.isolation is "host": the plugin does not reach the gateway\'s ticker');
  }
  return {
    attached,
    provider: gateway?.provider ?? null,
    plugin,
    state: settings?.state ?? null,
    standalone: gateway?.standalone ?? false,
    problems,
  };
}

/** A gateway that runs, as far as the system tells. */
export interface GatewayProcess {
  readonly pid: number;
  /** Whether it has loaded the plugin. */
  readonly hasPlugin: boolean;
}

/** The gateway that runs in a home, or null. */
export function readGatewayProcess(
  system: Pick<System, "files" | "locks">,
  home: AttachmentHome,
): GatewayProcess | null {
  const lockPath = join(home.path, "gateway.lock");
  if (system.files.stat(lockPath) === null) return null;
  const pid = system.locks.holderPid(lockPath);
  if (pid === null) return null;
  const loaded = parseRecord(readOrNull(system.files, join(pathsOf(home).pluginFolder, "loaded.json")));
  return { pid, hasPlugin: loaded?.["pid"] === pid };
}

/** For so long a heartbeat is a sign of life. */
export const heartbeatMs = 150_000;

/** Whether a ticker went round in a home lately. It does so too while it dispatches nothing. A daemon leaves the same sign, with its process. */
export function hasHeartbeat(
  system: Pick<System, "files" | "clock">,
  home: AttachmentHome,
  daemons: readonly (number | null)[],
): boolean {
  const text = readOrNull(system.files, join(home.path, "cron", "ticker_heartbeat")) ?? "";
  const [seconds = "", writer] = text.trim().split(/\s+/u);
  if (writer !== undefined && daemons.includes(Number(writer))) return false;
  return system.clock.nowMs() - Number.parseFloat(seconds) * 1000 < heartbeatMs;
}

/**
 * Whether the Hermes of a gateway's process looks at a job's claim before it starts the job: by what only such a one has among the
 * files that it was started from. Null when that cannot be told.
 */
export function obeysClaims({ files }: Pick<System, "files">, { pid }: GatewayProcess): boolean | null {
  try {
    const [python = ""] = files.readText(`/proc/${pid}/cmdline`).split("\0");
    const library = join(dirname(python), "..", "lib");
    for (const name of files.list(library).filter((name) => name.startsWith("python3"))) {
      const jobs = readOrNull(files, join(library, name, "site-packages", "cron", "jobs.py"));
      if (jobs !== null) return jobs.includes("expected_fire_owner");
    }
    return null;
  } catch {
    // Another system, another user's process, or one that has just ended: nothing is said then.
    return null;
  }
}

/** Whether a gateway of its own runs or ran in a home: from 0.22 on the root home's serves the profiles. */
export function hasOwnGateway(files: Pick<Files, "stat">, home: AttachmentHome): boolean {
  return ["gateway.pid", "gateway.lock", "gateway_state.json"].some(
    (name) => files.stat(join(home.path, name)) !== null,
  );
}

function pathsOf(
  home: AttachmentHome,
): Readonly<Record<"configPath" | "pluginFolder" | "programPath" | "settingsPath", string>> {
  const pluginFolder = join(home.path, "plugins", providerName);
  return {
    configPath: join(home.path, "config.yaml"),
    pluginFolder,
    programPath: join(pluginFolder, "__init__.py"),
    settingsPath: join(pluginFolder, "settings.json"),
  };
}

function readConfig(files: Files, path: string): string | null {
  if (files.stat(path) === null) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(files.read(path));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new AttachmentError(`Cannot edit "${path}": it is not UTF-8, expected text in UTF-8. Mend it first`);
  }
}

function requireUnchanged(files: Files, path: string, text: string | null): void {
  if (readConfig(files, path) !== text) {
    throw new AttachmentError(`Cannot edit "${path}": somebody else has just changed it. Look at it and try again`);
  }
}

function guarded<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof ProviderEditError)) throw error;
    throw new AttachmentError(`Cannot edit "${path}": ${error.message}`, { cause: error });
  }
}

function readSettings(files: Files, path: string): Settings | null {
  const record = parseRecord(readOrNull(files, path));
  return record !== null && typeof record["config"] === "object" ? (record as unknown as Settings) : null;
}

function parseRecord(text: string | null): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text ?? "null");
    return typeof value === "object" ? (value as Readonly<Record<string, unknown>> | null) : null;
  } catch {
    // Damaged, so it says nothing.
    return null;
  }
}

function readOrNull(files: Files, path: string): string | null {
  return files.stat(path) === null ? null : files.readText(path);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
