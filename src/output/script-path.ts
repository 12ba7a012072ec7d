import type { FileStat } from "../system/files.ts";
import type { System } from "../system/system.ts";

export type ScriptPath = { readonly ok: true; readonly path: string } | { readonly ok: false; readonly error: string };

/**
 * The script of a job: relative to `<home>/scripts`, symlinks resolved, never outside it. The texts are Hermes' own,
 * because they become the job's `last_error` (0.22 `_resolve_script_path`).
 */
export function resolveScript(
  system: Pick<System, "files">,
  home: string,
  userHome: string | null,
  script: string,
): ScriptPath {
  const quoted = `'${script}'`;
  if (/[\n\0]/u.test(script))
    return { ok: false, error: `Blocked: script path contains a NUL byte or a line break: ${JSON.stringify(script)}` };
  const folder = realOrSame(system, `${home}/scripts`);
  let wanted = script;
  if (script === "~" || script.startsWith("~/")) {
    if (userHome === null)
      return { ok: false, error: `Blocked: script path is not a valid filesystem path: ${quoted}` };
    wanted = `${userHome}${script.slice(1)}`;
  }
  const path = realOrSame(system, wanted.startsWith("/") ? wanted : `${folder}/${wanted}`);
  if (path !== folder && !path.startsWith(`${folder}/`)) {
    return { ok: false, error: `Blocked: script path resolves outside the scripts directory (${folder}): ${quoted}` };
  }
  let stat: FileStat | null;
  try {
    stat = system.files.stat(path);
  } catch (error) {
    // A link to itself, a name that is too long, a folder that may not be entered.
    return { ok: false, error: `Script cannot be read: ${error instanceof Error ? error.message : String(error)}` };
  }
  if (stat === null) {
    return {
      ok: false,
      error: `Script not found: ${path}. Cron scripts are looked up only in this profile's folder (${folder}); if the job was copied from another profile, copy the script there too, or edit the job with \`hermes cron edit\`.`,
    };
  }
  if (stat.kind !== "file") return { ok: false, error: `Script path is not a file: ${path}` };
  return { ok: true, path };
}

/** As Python's `Path.resolve()`: symlinks are followed as far as there are files, the rest is only made plain. */
function realOrSame(system: Pick<System, "files">, path: string): string {
  try {
    return system.files.realPath(path);
  } catch {
    // Something of it is missing: its parent may still be a link.
    const plain = plainPath(path);
    const cut = plain.lastIndexOf("/");
    if (cut <= 0) return plain;
    const parent = realOrSame(system, plain.slice(0, cut));
    return `${parent === "/" ? "" : parent}/${plain.slice(cut + 1)}`;
  }
}

function plainPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}
