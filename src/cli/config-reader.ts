import { join, resolve } from "node:path";
import { readOverrides } from "../config/overrides.ts";
import { parseYamlText } from "../config/yaml-text.ts";
import { findHomes } from "../homes/find-homes.ts";
import type { ConfigReport } from "../status/snapshot.ts";
import { requestDaemon } from "./client.ts";
import type { CommandParts } from "./command-parts.ts";
import { CommandError, exitCodes } from "./exit-codes.ts";
import { createReader, type Reader } from "./reader.ts";

export interface ConfigQuestion {
  /** A file that is not in its place yet, to be read in place of the one whose turn it is. */
  readonly file?: string | undefined;
  /** Whose file it is: `host`, or the name of a home; else its place and content tell. */
  readonly for?: string | undefined;
  readonly set?: readonly string[] | undefined;
}

export interface ConfigReader {
  readonly reader: Reader;
  /** What is wrong with flags and variables. */
  readonly errors: readonly string[];
  /** Of the file that was named: the place that it is read for; null when none was named. */
  readonly candidate: { readonly path: string; readonly home: string | null } | null;
  /** What the daemon has in force; null when none answers. */
  readonly daemon: ConfigReport | null;
}

/** A reader of the files as a daemon would read them: with the flags and variables of the one that runs, if one does. */
export async function openConfig(parts: CommandParts, question: ConfigQuestion): Promise<ConfigReader> {
  const daemon = await askDaemon(parts);
  const flags = question.set ?? daemon?.overrides.set ?? [];
  const { layers, errors } = readOverrides(flags, daemon?.overrides.variables ?? parts.environment);
  const candidate = question.file === undefined ? null : findPlace(parts, question.file, question.for ?? null);
  const instead = new Map(candidate === null ? [] : [[candidate.place, candidate.path]]);
  return { reader: createReader(parts, { overrides: layers, instead }), errors, candidate, daemon };
}

async function askDaemon(parts: CommandParts): Promise<ConfigReport | null> {
  if (!createReader(parts).daemon().running) return null;
  try {
    const answer = await requestDaemon(parts.stateFolder, "GET", "/v1/config");
    return answer.status === 200 ? (answer.body as ConfigReport) : null;
  } catch (error) {
    // It is just starting or ending, and the files tell what will count.
    if (error instanceof CommandError) return null;
    throw error;
  }
}

/** Keys at the top of Hermes' own config, none of which is a section of ours. */
const hermesKeys = new Set(["supervisor", "cron", "timezone", "model", "terminal", "gateway", "agent", "mcp_servers"]);

function findPlace({ system, rootHome, stateFolder }: CommandParts, file: string, whose: string | null) {
  const path = resolve(file);
  if (system.files.statLink(path) === null) {
    const message = `Cannot read config "${path}": there is no such file, expected one to check`;
    throw new CommandError(exitCodes.usage, "usage", message);
  }
  const hostPlace = join(stateFolder, "config.yaml");
  const homes = findHomes(system, rootHome).homes.map(({ name, path: folder }) => ({
    name,
    place: join(folder, "config.yaml"),
  }));
  const there = homes.find((home) => (whose === null ? home.place === path : home.name === whose));
  if (there !== undefined) return { path, place: there.place, home: there.name };
  if (whose !== null && whose !== "host") {
    const names = ["host", ...homes.map(({ name }) => name)].join(", ");
    const message = `Cannot read config "${path}" for "${whose}": there is no such home, expected one of ${names}`;
    throw new CommandError(exitCodes.usage, "usage", message);
  }
  const isOfHome = whose === null && path !== hostPlace && hasHermesKey(system, path);
  const root = homes.find(({ name }) => name === "default");
  return isOfHome && root !== undefined
    ? { path, place: root.place, home: root.name }
    : { path, place: hostPlace, home: null };
}

function hasHermesKey({ files }: CommandParts["system"], path: string): boolean {
  try {
    if (files.stat(path)?.kind !== "file") return false;
    const { value } = parseYamlText(files.read(path), path, "1.1");
    return typeof value === "object" && value !== null && Object.keys(value).some((key) => hermesKeys.has(key));
  } catch {
    // Whatever it is, the check says what is wrong with it.
    return false;
  }
}
