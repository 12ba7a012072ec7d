import type { CommandParts } from "../command-parts.ts";
import { checkDisk, checkFileSystems, checkLocks, checkModes } from "../doctor/check-files.ts";
import { checkClock, checkContainment, checkService, checkTickers } from "../doctor/check-host.ts";
import { checkHermes, checkHomeStates, checkProgram } from "../doctor/check-program.ts";
import { type Finding, fault, type Level, type Patient } from "../doctor/finding.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { usage } from "../parse-time.ts";
import { type Colour, formatJson, paint, printable, type Terminal, wrap } from "../print.ts";
import { createReader } from "../reader.ts";

export interface DoctorOptions {
  readonly json?: boolean;
  readonly kills?: string;
}

const checks: readonly (readonly [string, (patient: Patient) => readonly Finding[] | Promise<readonly Finding[]>])[] = [
  ["version", checkProgram],
  ["home", checkHomeStates],
  ["hermes", checkHermes],
  ["modes", checkModes],
  ["lock", checkLocks],
  ["file_system", checkFileSystems],
  ["disk", checkDisk],
  ["clock", checkClock],
  ["control_groups", checkContainment],
  ["tickers", checkTickers],
  ["service", checkService],
];

/** A terminal narrower than any word is not worth a column for each letter. */
const columnsMin = 8;

const marks: Readonly<Record<Level, readonly [string, Colour]>> = {
  ok: ["✓", "green"],
  warning: ["!", "yellow"],
  fault: ["✗", "red"],
};

/** Looks at the installation from all sides, and says of what is not as it should be how to mend it. */
export async function doctor(parts: CommandParts, options: DoctorOptions): Promise<ExitCode> {
  const { terminal } = parts;
  if (options.kills !== undefined) throw usage("Cannot use --kills: it says how often --chaos kills, add --chaos");
  const host = await parts.loadHost();
  const reader = createReader(parts);
  const patient: Patient = { parts, host, reader, homes: reader.homes(), daemon: reader.daemon() };
  const findings: Finding[] = [];
  for (const [name, check] of checks) {
    const found = await examine(name, () => check(patient));
    findings.push(...found);
    // Some checks take a second, so what is known is shown at once.
    if (!options.json) for (const finding of found) terminal.out(formatFinding(parts, finding));
  }
  const ok = findings.every(({ level }) => level !== "fault");
  if (options.json) terminal.out(formatJson({ ok, findings }));
  else terminal.out(formatSum(parts, findings));
  return ok ? exitCodes.done : exitCodes.failed;
}

/** What stops one check stops no other, and is itself a finding. */
async function examine(
  name: string,
  check: () => readonly Finding[] | Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return [fault(name, `This could not be looked at: ${error.message}`, "mend what it says, and look again")];
  }
}

function formatFinding({ terminal }: CommandParts, { level, home, message, remedy }: Finding): string {
  const [mark, colour] = marks[level];
  const whose = home === null ? "" : `${printable(home)}: `;
  const lines = [`${paint(terminal, colour, mark)} ${indented(terminal, 2, `${whose}${printable(message)}`)}\n`];
  if (remedy !== null) {
    const text = printable(remedy);
    // A mere command stays in one line, however long, so that it can be copied.
    const shown = text.includes(", ") ? indented(terminal, 4, text) : text;
    lines.push(`    ${paint(terminal, "bold", shown)}\n`);
  }
  return lines.join("");
}

/** Further lines begin below the first, which is indented already. */
function indented({ columns }: Pick<Terminal, "columns">, indent: number, text: string): string {
  const width = columns === null ? null : Math.max(columnsMin, columns - indent);
  return wrap(text, width).replaceAll("\n", `\n${" ".repeat(indent)}`);
}

function formatSum({ terminal }: CommandParts, findings: readonly Finding[]): string {
  const count = (level: Level): number => findings.filter((finding) => finding.level === level).length;
  const [faults, warnings] = [count("fault"), count("warning")];
  if (faults + warnings === 0) return `\n${paint(terminal, "green", "All is as it should be")}\n`;
  const parts = [
    ...(faults === 0 ? [] : [paint(terminal, "red", `${faults} ${faults === 1 ? "fault" : "faults"}`)]),
    ...(warnings === 0 ? [] : [paint(terminal, "yellow", `${warnings} ${warnings === 1 ? "warning" : "warnings"}`)]),
  ];
  return `\n${wrap(`${parts.join(", ")}${faults === 0 ? ": jobs run all the same" : ""}`, terminal.columns)}\n`;
}
