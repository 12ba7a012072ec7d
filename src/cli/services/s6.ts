import { type ServiceFile, type ServiceSpec, sealText } from "./service.ts";

/** The descriptor on which s6 is told that the daemon serves. */
const readyDescriptor = 3;

/** The service folder at `folder`, for `s6-svscan`. */
export function s6Files(spec: ServiceSpec, folder: string): readonly ServiceFile[] {
  const seal = (lines: readonly string[]): string => sealText(`${lines.join("\n")}\n`, (words) => `# ${words}`);
  const asUser = spec.user === null ? "" : `s6-setuidgid ${quote(spec.user.name)} `;
  const home = spec.user?.home ?? null;
  const variables = [
    ...(home === null ? [] : [["HOME", home] as const]),
    ...spec.variables,
    ["HERMES_SUPERVISOR_READY_FD", String(readyDescriptor)] as const,
  ];
  const run = [
    "#!/bin/sh",
    `# Written by hermes-supervisor ${spec.version}.`,
    "# s6-svc -d and -r signal the daemon alone: its runs go on, and the next daemon adopts them.",
    "exec 2>&1",
    ...variables.map(([key, value]) => `export ${key}=${quote(value)}`),
    `exec ${asUser}${spec.command.map(quote).join(" ")}`,
  ];
  const finish = [
    "#!/bin/sh",
    `# Written by hermes-supervisor ${spec.version}.`,
    "# Wrong usage, a wrong configuration, another daemon on the same state folder: 125 tells s6 to leave it down.",
    'case "$1" in 2|3|6) exit 125 ;; esac',
  ];
  return [
    { path: `${folder}/run`, text: seal(run), mode: 0o755 },
    { path: `${folder}/finish`, text: seal(finish), mode: 0o755 },
    { path: `${folder}/notification-fd`, text: `${readyDescriptor}\n`, mode: 0o644 },
  ];
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/u.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
