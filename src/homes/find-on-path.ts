import type { Files } from "../system/files.ts";

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

function statOrNull(system: ReadingSystem, path: string): ReturnType<Files["stat"]> {
  try {
    return system.files.stat(path);
  } catch {
    // A folder of PATH that this user may not enter.
    return null;
  }
}
