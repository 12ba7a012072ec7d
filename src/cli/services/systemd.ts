import { type ServiceSpec, sealText } from "./service.ts";

/**
 * The unit. Nothing is fenced off from the file system or the kernel: what a job may do is what its user may do, and a run
 * that outlives a restart would keep the old fence.
 */
export function formatSystemdUnit(spec: ServiceSpec): string {
  const { isSystem, user, command, variables, rootHome, name } = spec;
  const lines = [
    `# Written by hermes-supervisor ${spec.version}. Changes are better made with: systemctl ${isSystem ? "" : "--user "}edit ${name}`,
    "[Unit]",
    `Description=Hermes Supervisor for ${specifiers(oneLine(rootHome))}`,
    ...(isSystem
      ? [
          "Wants=network-online.target",
          "After=network-online.target time-sync.target",
          `RequiresMountsFor=${quote(specifiers(rootHome))}`,
        ]
      : []),
    "# It is started again however often it ends; the exceptions are below.",
    "StartLimitIntervalSec=0",
    "",
    "[Service]",
    "Type=notify",
    `ExecStart=${startable(command)
      .map((word) => quote(specifiers(word).replaceAll("$", "$$$$")))
      .join(" ")}`,
    "ExecReload=/bin/kill -HUP $MAINPID",
    ...(user === null ? [] : [`User=${specifiers(user.name)}`]),
    ...[...variables].map(([key, value]) => `Environment=${quote(specifiers(`${key}=${value}`))}`),
    "# A restart signals the daemon alone: its runs go on, and the next daemon adopts them.",
    "KillMode=process",
    "# In control groups below ours every process of a run can be found and ended.",
    "Delegate=yes",
    "# A run that is killed for its memory is one failed run; the others go on.",
    "OOMPolicy=continue",
    "TasksMax=infinity",
    "Restart=always",
    "RestartSec=1",
    "# Wrong usage, a wrong configuration, another daemon on the same state folder: a person has to look.",
    "RestartPreventExitStatus=2 3 6",
    "WatchdogSec=60",
    "TimeoutStartSec=120",
    "TimeoutStopSec=30",
    "",
    "[Install]",
    `WantedBy=${isSystem ? "multi-user.target" : "default.target"}`,
  ];
  return sealText(`${lines.join("\n")}\n`, (words) => `# ${words}`);
}

/** systemd starts no program that has one of these characters in its path; a shell does. */
function startable(command: readonly string[]): readonly string[] {
  return /["'\\$\p{Cc}]/u.test(command[0] ?? "") ? ["/bin/sh", "-c", 'exec "$0" "$@"', ...command] : command;
}

/** `%` begins a specifier wherever a unit takes text. */
function specifiers(text: string): string {
  return text.replaceAll("%", "%%");
}

/** One word of a list, quoted where it has to be, as systemd's own parser takes it apart. */
function quote(word: string): string {
  if (/^[\w@%+=:,./$-]+$/u.test(word)) return word;
  const inner = word.replace(/[\\"\x00-\x1f\x7f]/gu, (character) =>
    character === "\\" || character === '"'
      ? `\\${character}`
      : `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return `"${inner}"`;
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\\]/gu, "?");
}
