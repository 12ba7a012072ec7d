import type { Files } from "../system/files.ts";
import type { System } from "../system/system.ts";

type ReadingSystem = { readonly files: Pick<Files, "stat"> };

/** The program `name` on `path`, or null. */
export function findOnPath(system: ReadingSystem, path: string, name: string): string | null {
  for (const folder of path.split(":")) {
    if (!folder.startsWith("/")) continue;
    const stat = statOrNull(system, `${folder}/${name}`);
    if (stat?.kind === "file" && (stat.mode & 0o111) !== 0) return `${folder}/${name}`;
  }
  return null;
}

/**
 * The Python that runs `.py` scripts: that of the installed Hermes, found through its command on `path` or in the usual
 * places below `userHome`, else `python3` of `path`.
 */
export function findPython(system: System, path: string, userHome: string | null): string | null {
  for (const name of ["hermes", "hermesx"]) {
    const command = findOnPath(system, path, name);
    const python = command === null ? null : interpreterOf(system, command);
    if (python !== null) return python;
  }
  const usual =
    userHome === null
      ? []
      : [".hermes/hermes-agent/venv", ".local/share/uv/tools/hermes-agent", ".local/share/pipx/venvs/hermes-agent"];
  for (const folder of usual) {
    const python = `${userHome}/${folder}/bin/python`;
    if (statOrNull(system, python)?.kind === "file") return python;
  }
  return findOnPath(system, path, "python3");
}

/** What a Python command's first lines name: `#!/path/python`, or the `exec` line that pip writes where the path is too long for that. */
function interpreterOf(system: System, command: string): string | null {
  let head: string;
  try {
    head = new TextDecoder().decode(system.files.readPart(command, 0, 4096));
  } catch {
    // Not readable: then it is not a script that could tell.
    return null;
  }
  const named =
    /^#!\s*(\/\S*python[\d.]*)\s*$/mu.exec(head) ?? /^'''exec' "?(\/[^"\n]*?python[\d.]*)"? "\$0"/mu.exec(head);
  const path = named?.[1] ?? null;
  return path !== null && statOrNull(system, path)?.kind === "file" ? path : null;
}

function statOrNull(system: ReadingSystem, path: string): ReturnType<Files["stat"]> {
  try {
    return system.files.stat(path);
  } catch {
    // A folder of PATH that this user may not enter.
    return null;
  }
}
