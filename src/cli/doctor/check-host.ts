import { dirname, join } from "node:path";
import { hasHeartbeat, heartbeatMs } from "../../homes/gateway-attachment.ts";
import { readGateways } from "../commands/gateway.ts";
import { describeService } from "../services/describe-service.ts";
import { isSealed, type ServiceKind } from "../services/service.ts";
import { serviceFiles, servicePlace, startingSteps } from "../services/service-place.ts";
import { type Finding, fault, fine, type Patient, warning } from "./finding.ts";

export function checkClock({ parts, host, homes }: Patient): readonly Finding[] {
  const findings: Finding[] = [];
  const isRight = host.isClockSynchronised();
  if (isRight === null) findings.push(fine("clock", "Whether something keeps the clock right cannot be told here"));
  else if (isRight) findings.push(fine("clock", "The clock is kept right"));
  else {
    const message = "Nothing keeps the clock right: jobs start when this clock says so";
    const remedy = "timedatectl set-ntp true";
    findings.push(
      host.isContainer()
        ? warning("clock", `${message}, which is that of this container's host`, `${remedy}, on that host`)
        : warning("clock", message, remedy),
    );
  }
  const nowMs = parts.system.clock.nowMs();
  const serverZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const { name, hermes, configPath } of homes) {
    if (hermes.timezone !== null) {
      findings.push(fine("zone", `Its times are those of ${hermes.timezone} (${hermes.sources.timezone})`, name));
    } else if (hasClockChanges(nowMs)) {
      const message = `It names no zone, so Hermes goes by the server's present offset, and is an hour off after the next clock change of ${serverZone}`;
      findings.push(warning("zone", message, `timezone: ${serverZone} in ${configPath}`, name));
    } else findings.push(fine("zone", `Its times are the server's, ${serverZone}`, name));
  }
  return findings;
}

function hasClockChanges(nowMs: number): boolean {
  const year = new Date(nowMs).getFullYear();
  const offsets = Array.from({ length: 12 }, (_, month) => new Date(year, month, 1).getTimezoneOffset());
  return new Set(offsets).size > 1;
}

/** What finds the processes of a run: of the daemon, where one runs, since a service may have more than a person's shell. */
export function checkContainment({ host, daemon, reader }: Patient): readonly Finding[] {
  if (host.platform !== "linux") {
    return [fine("containment", "Without /proc a run's processes are found by their group and their parents")];
  }
  const note = daemon.running ? readNote(reader.ledger().note("daemon")) : null;
  // An older daemon said nothing of it.
  const groups = note?.groups ?? host.canGroup();
  const reaps = note?.reaping === undefined ? host.canReap() : note.reaping !== "none";
  const whose = note?.groups === undefined ? "This process" : "The daemon";
  return [
    groups
      ? fine("control_groups", `${whose} may make control groups, so nothing of a run can hide`)
      : warning(
          "control_groups",
          `${whose} may make no control groups; runs are found by other marks, which a program can shed`,
          "hermes-supervisor install systemd (Delegate=yes), or a container that may write its /sys/fs/cgroup",
        ),
    reaps
      ? fine(
          "reaper",
          `Orphans of runs become children of ${note?.reaping === undefined ? "this process" : "the daemon"}`,
        )
      : warning(
          "reaper",
          "Orphans of runs are lost from sight: this system lets nobody adopt them",
          "allow prctl(PR_SET_CHILD_SUBREAPER), or let the daemon be process 1 of its container",
        ),
  ];
}

interface DaemonNote {
  readonly groups?: boolean;
  readonly reaping?: string;
}

function readNote(text: string | null): DaemonNote | null {
  return text === null ? null : (JSON.parse(text) as DaemonNote);
}

/** Whoever else may start this home's jobs. */
export async function checkTickers(patient: Patient): Promise<readonly Finding[]> {
  const { parts, homes, host, daemon, reader } = patient;
  const { stateFolder, rootHome } = parts;
  const findings: Finding[] = [];
  const holders = host.holdersOf("daemon.lock");
  // Those that have ended may have left their heartbeat behind.
  const lives = reader.ledger().lives(parts.system.clock.nowMs() - heartbeatMs);
  const daemons = [daemon.pid, ...lives.map(({ pid }) => pid), ...holders.map(({ pid }) => pid)];
  for (const { home, path, gateway, ticks, problems } of readGateways(parts, daemon)) {
    for (const problem of problems) {
      const remedy = problem.includes("hermes gateway restart")
        ? "hermes gateway restart"
        : "hermes-supervisor gateway attach";
      findings.push(warning("tickers", problem, remedy, home));
    }
    if (problems.length > 0) continue;
    if (gateway !== null) {
      findings.push(fine("tickers", `Its gateway (process ${gateway.pid}); its jobs are run by the ${ticks}`, home));
    } else if (hasHeartbeat(parts.system, { name: home, path }, daemons)) {
      const message =
        "A gateway went round in it within the last minutes, and none runs here: another host or container ticks the same home";
      findings.push(warning("tickers", message, "hermes gateway stop, over there", home));
    }
  }
  for (const { pid, path, commandLine } of holders) {
    const state = dirname(path);
    if (state === stateFolder || pid === daemon.pid) continue;
    const words = commandLine.split("\0");
    const served = words.includes(rootHome) || state.startsWith(`${rootHome}/`);
    if (!served && host.processes.startedWith(pid, "HERMES_HOME") !== rootHome) continue;
    const message = `Another daemon (process ${pid}, state in ${state}) serves the same home: nothing runs twice, but half the history is there`;
    findings.push(warning("tickers", message, `kill -TERM ${pid}`));
  }
  const crontab = await host.run("crontab", ["-l"], 5000);
  if (crontab?.exitCode === 0 && /^[^#\n]*\bhermes\S* .*\bcron tick\b/mu.test(crontab.output)) {
    const message =
      "The crontab of this user calls hermes cron tick, which holds the tick lock until its last job has ended";
    findings.push(warning("tickers", message, "crontab -e, and take that line out"));
  }
  if (findings.length === 0 && homes.length > 0) findings.push(fine("tickers", "Nobody else ticks these homes"));
  return findings;
}

const serviceName = "hermes-supervisor";

export async function checkService({ parts, host }: Patient): Promise<readonly Finding[]> {
  const { files } = parts.system;
  const kind: ServiceKind | null =
    host.platform === "darwin" ? "launchd" : files.stat("/run/systemd/system") === null ? null : "systemd";
  if (kind === null) {
    return [fine("service", "No systemd or launchd here: whoever starts this container or machine starts the daemon")];
  }
  const install = `hermes-supervisor install ${kind}`;
  for (const isSystem of [false, true]) {
    if (!isSystem && (parts.environment["HOME"] ?? "") === "" && (parts.environment["XDG_CONFIG_HOME"] ?? "") === "")
      continue;
    const place = servicePlace(parts, kind, serviceName, isSystem, null);
    const [path = ""] = place.paths;
    if (files.stat(path) === null) continue;
    const text = files.readText(path);
    const spec = describeService(parts, host, serviceName, isSystem);
    const scope = isSystem ? "--system" : "--user";
    const findings: Finding[] = [];
    const program = /^ExecStart="?([^" \n]+)/mu.exec(text)?.[1] ?? spec.command[0] ?? "";
    if (!program.startsWith("/bin/sh") && files.stat(program) === null) {
      const message = `${path} starts "${program}", which is not there any more`;
      findings.push(fault("service", message, `${install} ${scope}`));
    } else if (isSealed(text) && !isSameService(text, serviceFiles(parts, kind, spec, place)[0]?.text ?? "")) {
      const message = `${path} is not what this version would write for this Node and home`;
      findings.push(warning("service", message, `${install} ${scope}`));
    }
    const starting = startingSteps(kind, spec, place);
    if (kind === "systemd") findings.push(...(await checkUnit(parts, host, isSystem, starting)));
    return findings.length > 0
      ? findings
      : [fine("service", `${path} is installed${kind === "systemd" ? " and enabled" : ""}`)];
  }
  return [warning("service", `No ${kind} service starts the daemon with the machine`, install)];
}

/** Apart from the variables: whoever looks may well sit in another shell than the one that the service was installed from. */
function isSameService(one: string, other: string): boolean {
  const [bare, otherBare] = [one, other].map((text) =>
    text
      .replaceAll(/^Environment=.*\n|^.*hermes-supervisor checksum .*\n/gmu, "")
      .replace(/<key>EnvironmentVariables<\/key>\s*<dict>.*?<\/dict>/su, ""),
  );
  return bare === otherBare;
}

async function checkUnit(
  parts: Patient["parts"],
  host: Patient["host"],
  isSystem: boolean,
  starting: readonly string[],
): Promise<readonly Finding[]> {
  const answer = await host.run(
    "systemctl",
    [...(isSystem ? [] : ["--user"]), "is-enabled", `${serviceName}.service`],
    5000,
  );
  const findings: Finding[] = [];
  if (answer !== null && answer.output.trim() !== "enabled") {
    const message = `The service is installed, and systemd says "${answer.output.trim().split("\n")[0] ?? ""}"`;
    findings.push(warning("service", message, starting.slice(0, 2).join(" && ")));
  }
  const lingers = parts.system.files.stat(join("/var/lib/systemd/linger", host.user.name)) !== null;
  if (!isSystem && !lingers) {
    const message = `The service ends with the last session of ${host.user.name}`;
    findings.push(warning("service", message, "loginctl enable-linger"));
  }
  return findings;
}
