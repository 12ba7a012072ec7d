import { join } from "node:path";
import { findHomes } from "../../homes/find-homes.ts";
import {
  type Attachment,
  AttachmentError,
  type AttachmentPlan,
  type GatewayProcess,
  hasHeartbeat,
  hasOwnGateway,
  obeysClaims,
  planAttach,
  planDetach,
  readAttachment,
  readGatewayProcess,
} from "../../homes/gateway-attachment.ts";
import { packageRoot } from "../../system/package-root.ts";
import type { CommandParts } from "../command-parts.ts";
import { CommandError, type ExitCode, exitCodes } from "../exit-codes.ts";
import { type Cell, formatJson, formatTable, paint, printable } from "../print.ts";
import { createReader } from "../reader.ts";

export interface ChangeOptions {
  readonly yes?: boolean;
}

/** Makes the gateway's ticker stand down while the daemon lives. */
export async function attach(parts: CommandParts, only: string | undefined, options: ChangeOptions): Promise<ExitCode> {
  const plugin = { text: pluginText(parts), version: parts.version };
  const homes = choose(parts, only, (home) => home.name === "default" || hasOwnGateway(parts.system.files, home));
  const plans: AttachmentPlan[] = [];
  for (const home of homes) {
    const { standalone } = readAttachment(parts.system, home, parts.stateFolder, plugin.text);
    if (standalone && home.name !== "default") {
      const why = "gateway.standalone is true, so its own gateway runs its jobs and the supervisor leaves them alone";
      if (only !== undefined) throw failure(`Cannot attach "${home.name}": ${why}`);
      parts.terminal.error(`${home.name} is left out: ${why}\n`);
      continue;
    }
    plans.push(planned(() => planAttach(parts.system, home, parts.stateFolder, plugin)));
  }
  return await carryOut(parts, plans, options, {
    verb: "attach",
    done: "attached",
    plugin: (plan) => `+ ${join(plan.pluginFolder, "__init__.py")}`,
    after: "A gateway that runs now ticks on until it is started again: hermes gateway restart",
  });
}

/** Takes away all that `attach` did. */
export async function detach(parts: CommandParts, only: string | undefined, options: ChangeOptions): Promise<ExitCode> {
  const plans = choose(parts, only, () => true)
    .map((home) => planned(() => planDetach(parts.system, home)))
    .filter((plan) => only !== undefined || !plan.isDone || plan.home.name === "default");
  return await carryOut(parts, plans, options, {
    verb: "detach",
    done: "not attached",
    plugin: (plan) => `- ${plan.pluginFolder}`,
    after: "A gateway that runs now ticks again within seconds",
  });
}

interface Wording {
  readonly verb: "attach" | "detach";
  readonly done: string;
  plugin(plan: AttachmentPlan): string;
  readonly after: string;
}

async function carryOut(
  parts: CommandParts,
  plans: readonly AttachmentPlan[],
  { yes = false }: ChangeOptions,
  wording: Wording,
): Promise<ExitCode> {
  const { terminal } = parts;
  for (const plan of plans.filter(({ isDone }) => isDone)) terminal.out(`${plan.home.name} is ${wording.done}\n`);
  const open = plans.filter(({ isDone }) => !isDone);
  if (open.length === 0) return exitCodes.done;
  for (const plan of open) terminal.out(planText(parts, plan, wording));
  if (!yes) {
    if (parts.ask === null) {
      throw new CommandError(
        exitCodes.usage,
        "usage",
        `Cannot ask whether to ${wording.verb}: standard input is no terminal, expected --yes`,
      );
    }
    if (!(await parts.ask(`Do this? [y/N] `))) {
      terminal.out("Nothing was changed\n");
      return exitCodes.failed;
    }
  }
  for (const plan of open) {
    planned(() => plan.carryOut());
    terminal.out(`${plan.home.name} is ${wording.verb}ed\n`);
  }
  terminal.out(`${wording.after}\n`);
  return exitCodes.done;
}

function planText(parts: CommandParts, plan: AttachmentPlan, wording: Wording): string {
  const lines = [`${plan.home.name}:`, wording.plugin(plan)];
  const { before, after } = plan.texts;
  if (before !== after) {
    if (after === null) lines.push(`- ${plan.configPath}`);
    else lines.push(`${before === null ? "+" : "~"} ${plan.configPath}`, ...changedLines(before ?? "", after));
  }
  const colours = { "+": "green", "-": "red" } as const;
  return lines
    .map((line) => {
      const sign = line.trimStart()[0];
      const text = printable(line);
      return `${sign === "+" || sign === "-" ? paint(parts.terminal, colours[sign], text) : text}\n`;
    })
    .join("");
}

/** The lines that differ, with their numbers; an edit is of one place, so all else is a common beginning or end. */
function changedLines(before: string, after: string): readonly string[] {
  const [old, now] = [before, after].map((text) => text.split(/\r?\n/)) as [string[], string[]];
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start++;
  let end = 0;
  const shorter = Math.min(old.length, now.length);
  while (end < shorter - start && old[old.length - 1 - end] === now[now.length - 1 - end]) end++;
  return [
    ...old.slice(start, old.length - end).map((line, index) => `    - ${start + index + 1}: ${line}`),
    ...now.slice(start, now.length - end).map((line, index) => `    + ${start + index + 1}: ${line}`),
  ];
}

interface HomeStatus {
  readonly home: string;
  readonly path: string;
  readonly attachment: Attachment;
  /** Of a profile without one of its own, the root home's where that serves it. */
  readonly gateway: (GatewayProcess & { readonly isOwn: boolean }) | null;
  readonly ticks: "supervisor" | "gateway" | "both" | "nobody";
  readonly problems: readonly string[];
}

export async function gatewayStatus(parts: CommandParts, options: { readonly json?: boolean }): Promise<ExitCode> {
  const daemon = createReader(parts).daemon();
  const homes = readGateways(parts, daemon);
  const json = {
    daemon: { running: daemon.running, pid: daemon.pid },
    homes: homes.map(({ attachment, gateway, ticks, problems, home, path }) => ({
      home,
      path,
      attached: attachment.attached,
      provider: attachment.provider,
      plugin: attachment.plugin,
      gateway: gateway === null ? null : { pid: gateway.pid, own: gateway.isOwn, has_plugin: gateway.hasPlugin },
      ticks,
      problems,
    })),
  };
  parts.terminal.out(options.json ? formatJson(json) : formatStatus(parts, daemon.running, homes));
  return exitCodes.done;
}

/** Who runs the jobs of each home. */
export function readGateways(
  parts: CommandParts,
  daemon: { readonly running: boolean; readonly pid: number | null },
): readonly HomeStatus[] {
  const { system } = parts;
  const text = pluginText(parts);
  const homes = findHomes(system, parts.rootHome).homes.filter(({ state }) => state === "active");
  const [root] = homes;
  const rootProcess = root === undefined ? null : readGatewayProcess(system, root);
  return homes.map((home): HomeStatus => {
    const attachment = readAttachment(system, home, parts.stateFolder, text);
    const own = home === root ? rootProcess : readGatewayProcess(system, home);
    const serving = own ?? (hasHeartbeat(system, home, [daemon.pid]) ? rootProcess : null);
    const gateway = serving === null ? null : { ...serving, isOwn: own !== null };
    const standsDown = gateway === null || gateway.hasPlugin;
    const ticks = daemon.running ? (standsDown ? "supervisor" : "both") : gateway === null ? "nobody" : "gateway";
    const problems = [...attachment.problems];
    if (attachment.attached && attachment.standalone && home.name !== "default") {
      problems.push("gateway.standalone is true, so the supervisor leaves its jobs alone: detach it");
    }
    if (gateway?.isOwn && attachment.attached && !gateway.hasPlugin) {
      problems.push(`The gateway (process ${gateway.pid}) was started without the plugin: hermes gateway restart`);
    } else if (gateway !== null && ticks === "both") problems.push(besideUs(gateway.pid, obeysClaims(system, gateway)));
    return { home: home.name, path: home.path, attachment, gateway, ticks, problems };
  });
}

interface TickerNote {
  readonly text: string;
  readonly isFine: boolean;
}

/** For `status`, of each home with a gateway of its own: who of the two runs its jobs. */
export function tickerNotes(
  { system }: CommandParts,
  homes: readonly ChosenHome[],
  daemonRuns: boolean,
): readonly TickerNote[] {
  return homes.flatMap((home): readonly TickerNote[] => {
    const gateway = readGatewayProcess(system, home);
    if (gateway === null) return [];
    const whose = `${printable(home.name)}: its gateway (process ${gateway.pid})`;
    if (!daemonRuns) return [{ text: `${whose} runs the jobs`, isFine: true }];
    if (gateway.hasPlugin) return [{ text: `${whose} stands by`, isFine: true }];
    return [{ text: `${whose} ticks too, see hermes-supervisor gateway status`, isFine: false }];
  });
}

/** What locks and claims cannot do while a gateway ticks beside us. */
function besideUs(pid: number, seesClaims: boolean | null): string {
  const what = `The gateway (process ${pid}) ticks too`;
  const remedy = "hermes-supervisor gateway attach ends that";
  if (seesClaims === true) {
    return `${what}. It obeys claims, so nothing runs twice, but what it sees first it runs, in its own process: ${remedy}`;
  }
  const whose = seesClaims === null ? "where its Hermes is older than 0.20 it" : "its Hermes";
  return `${what}, and ${whose} looks at no claim. Only runs shorter than their interval are protected, a longer one can start twice: ${remedy}`;
}

function formatStatus(parts: CommandParts, daemonRuns: boolean, homes: readonly HomeStatus[]): string {
  const { terminal } = parts;
  const rows = homes.map(({ home, attachment, gateway, ticks }): Cell[] => [
    home,
    attachment.attached
      ? { text: "attached", colour: "green" }
      : attachment.provider === null
        ? { text: "unknown", colour: "red" }
        : { text: "not attached", colour: "yellow" },
    gateway === null ? "none" : `process ${gateway.pid}${gateway.isOwn ? "" : " of default"}`,
    { text: ticks, colour: ticks === "both" ? "yellow" : ticks === "nobody" ? "red" : "green" },
  ]);
  const columns = [{ title: "HOME", shrinkTo: 12 }, { title: "PLUGIN" }, { title: "GATEWAY" }, { title: "WHO TICKS" }];
  const problems = homes.flatMap(({ home, problems: said }) =>
    said.map((problem) => `${paint(terminal, "yellow", `${printable(home)}:`)} ${printable(problem)}\n`),
  );
  const daemon = daemonRuns ? paint(terminal, "green", "running") : paint(terminal, "yellow", "not running");
  const blocks = [`Daemon  ${daemon}\n`, formatTable(terminal, columns, rows)];
  if (problems.length > 0) blocks.push(problems.join(""));
  return blocks.join("\n");
}

interface ChosenHome {
  readonly name: string;
  readonly path: string;
}

function choose(
  parts: CommandParts,
  only: string | undefined,
  isMeant: (home: ChosenHome) => boolean,
): readonly ChosenHome[] {
  const { homes, error } = findHomes(parts.system, parts.rootHome);
  if (error !== null) throw failure(error);
  if (homes.length === 0) {
    throw failure(`Cannot find the Hermes home "${parts.rootHome}": no such folder, expected --home or HERMES_HOME`);
  }
  const chosen = homes.filter((home) => (only === undefined ? isMeant(home) : home.name === only));
  if (chosen.length === 0) {
    const names = homes.map(({ name }) => name).join(", ");
    throw new CommandError(exitCodes.notFound, "not_found", `Cannot find home "${only}": expected one of ${names}`);
  }
  for (const home of chosen) {
    if (home.state !== "active") throw failure(`Cannot touch home "${home.name}": ${home.reason ?? home.state}`);
  }
  return chosen;
}

function pluginText({ system }: CommandParts): string {
  return system.files.readText(join(packageRoot(), "worker", "gateway_plugin.py"));
}

function planned<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof AttachmentError) throw failure(error.message, error);
    throw error;
  }
}

function failure(message: string, cause?: unknown): CommandError {
  return new CommandError(exitCodes.failed, "refused", message, { cause });
}
