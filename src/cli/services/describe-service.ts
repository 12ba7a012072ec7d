import { join } from "node:path";
import type { Host } from "../../system/host.ts";
import type { CommandParts } from "../command-parts.ts";
import type { ServiceSpec } from "./service.ts";

/** Variables that a service manager does not have as the person who installs has them. */
const keptVariables = ["PATH", "LANG", "TZ", "HERMES_TIMEZONE", "HERMES_SUPERVISOR_PYTHON"];

/** What a service of this program on this home has to start. A system service runs as whoever the home belongs to. */
export function describeService(parts: CommandParts, host: Host, name: string, isSystem: boolean): ServiceSpec {
  const { system, environment, rootHome, stateFolder, version } = parts;
  const variables = new Map<string, string>();
  for (const key of keptVariables) {
    const value = environment[key];
    if (value === undefined || value === "") continue;
    variables.set(key, key === "PATH" ? [...new Set(value.split(":"))].join(":") : value);
  }
  const isUsualState = stateFolder === join(rootHome, "supervisor");
  return {
    name,
    isSystem,
    user: isSystem ? homeOwner(system, rootHome) : null,
    command: [
      lastingNode(system, host.nodePath),
      host.programPath,
      "--home",
      rootHome,
      ...(isUsualState ? [] : ["--state", stateFolder]),
      "start",
    ],
    variables,
    rootHome,
    version,
  };
}

/** Homebrew takes the folder of a version away with the next one, and keeps a link to the current. */
function lastingNode({ files }: CommandParts["system"], nodePath: string): string {
  const linked = nodePath.replace(/\/Cellar\/(node(?:@\d+)?)\/[^/]+\/bin\/node$/u, "/opt/$1/bin/node");
  return files.stat(linked) === null ? nodePath : linked;
}

function homeOwner({ files }: CommandParts["system"], rootHome: string): ServiceSpec["user"] {
  const uid = files.stat(rootHome)?.uid ?? 0;
  if (uid === 0) return null;
  const line = accounts(files).find((fields) => fields[2] === String(uid));
  return { name: line?.[0] ?? String(uid), home: line?.[5] ?? null };
}

function accounts(files: CommandParts["system"]["files"]): readonly (readonly string[])[] {
  try {
    return files
      .readText("/etc/passwd")
      .split("\n")
      .map((line) => line.split(":"));
  } catch {
    // Without the file the number has to do, which service managers take too.
    return [];
  }
}
