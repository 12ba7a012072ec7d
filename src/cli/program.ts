import { join, resolve } from "node:path";
import { Argument, Command, CommanderError, Option } from "commander";
import { resolveRootHome } from "../homes/find-homes.ts";
import type { Host } from "../system/host.ts";
import type { CommandParts, ReadingSystem } from "./command-parts.ts";
import { shells } from "./completion-scripts.ts";
import { describeFailure } from "./describe-failure.ts";
import { CommandError, exitCodes } from "./exit-codes.ts";
import { formatJson, type Terminal } from "./print.ts";
import { serviceKinds } from "./services/service.ts";

/** What `main.ts` found around it. */
export interface Outside {
  /** Without the program's own name. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly terminal: Terminal;
  readonly version: string;
  readonly onInterrupt: (act: () => void) => void;
  readonly onEnd: (act: () => void) => void;
  /** Left out where nobody can be asked. */
  readonly ask?: (question: string) => Promise<boolean>;
  /** Loaded only by commands that look at something. */
  loadSystem(): Promise<ReadingSystem>;
  loadHost(): Promise<Host>;
}

/** Runs one command and resolves to its exit status. Writes what went wrong; throws only for a fault of this program. */
export async function runProgram(outside: Outside): Promise<number> {
  const { terminal } = outside;
  const wantsJson = outside.arguments.includes("--json");
  let exitCode: number = exitCodes.done;
  let complaint = "";

  const program = new Command("hermes-supervisor")
    .description("Runs Hermes Agent's scheduled jobs, each in a process of its own, beside the gateway")
    .version(outside.version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .option("--home <dir>", "root Hermes home (else HERMES_HOME, else ~/.hermes)")
    .option("--state <dir>", "the supervisor's folder (else HERMES_SUPERVISOR_STATE, else <home>/supervisor)")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => {
        complaint += text;
      },
      getOutHelpWidth: () => Math.min(terminal.columns ?? 80, 100),
    })
    .showSuggestionAfterError()
    // `runs --state` is not the program's --state.
    .enablePositionalOptions();

  async function openParts(command: Command): Promise<CommandParts> {
    const before = program.opts<Folders>();
    const behind = command.opts<Folders>();
    const system = await outside.loadSystem();
    const home = folder("--home", behind.home ?? before.home);
    const rootHome = findRootHome(system, outside.environment, home);
    const isHomeNamed = home !== null || (outside.environment["HERMES_HOME"] ?? "").trim() !== "";
    const stateBehind = takesStateFolder(command) ? behind.state : undefined;
    const state =
      folder("--state", stateBehind ?? before.state) ?? (outside.environment["HERMES_SUPERVISOR_STATE"] || null);
    const stateFolder = state === null ? join(rootHome, "supervisor") : resolve(state);
    const { environment, version, onInterrupt, onEnd } = outside;
    const ask = outside.ask ?? null;
    return {
      system,
      terminal,
      environment,
      version,
      rootHome,
      isHomeNamed,
      stateFolder,
      onInterrupt,
      onEnd,
      ask,
      loadHost: outside.loadHost,
    };
  }

  const act =
    <Arguments extends unknown[]>(command: (parts: CommandParts, ...rest: Arguments) => Promise<number>) =>
    async (...rest: [...Arguments, Command]): Promise<void> => {
      exitCode = await command(await openParts(rest.at(-1) as Command), ...(rest.slice(0, -1) as Arguments));
    };
  const json = (): Option => new Option("--json", "print one JSON document");
  const watch = (): Option => new Option("--watch", "show it again each second until Ctrl-C");
  const raw = (): Option => new Option("--raw", "pass the output to a terminal as it is, with what the terminal obeys");
  const set = (): Option =>
    new Option("--set <key=value>", "set one thing over every file, such as stop.grace=30s; may be repeated").argParser(
      (text: string, before: readonly string[] = []) => [...before, text],
    );
  const whose = (): Option =>
    new Option("--for <home>", "whose file it is: host, or a home's name; else its place and content tell");
  const job = "id, unique beginning of an id, or name; <profile>/ may stand before it";

  program
    .command("start")
    .description("run the daemon in the foreground")
    .option("--once", "one tick, wait for its runs, and end")
    .addOption(set())
    .addOption(new Option("--or-demo").hideHelp())
    .action(act(async (parts, options) => (await import("./commands/start.ts")).start(parts, options)));
  program
    .command("demo")
    .description("make a home with sample jobs and run the daemon there with a live table")
    .action(act(async (parts) => (await import("./commands/start.ts")).demo(parts)));
  program
    .command("status")
    .description("daemon, homes, open runs, what blocks whom")
    .addOption(watch())
    .addOption(json())
    .action(act(async (parts, options) => (await import("./commands/status.ts")).status(parts, options)));
  program
    .command("jobs")
    .description("every job of every home")
    .addOption(watch())
    .addOption(json())
    .action(act(async (parts, options) => (await import("./commands/jobs.ts")).jobs(parts, options)));
  program
    .command("next")
    .description("the coming occurrences")
    .argument("[job]", job)
    .option("--count <n>", "how many for each job (1, with a job 5)")
    .option("--at <time>", "strictly after this time, ISO 8601, or a length such as 2h from now")
    .addOption(watch())
    .addOption(json())
    .action(act(async (parts, text, options) => (await import("./commands/next.ts")).next(parts, text, options)));
  const runs = program
    .command("runs")
    .description("history, newest first")
    .argument("[job]", job)
    .option("--limit <n>", "how many; 0 means all (50)")
    .option("--state <state>", "claimed, running, completed, failed or void")
    .option("--since <time>", "claimed since this time, ISO 8601, or a length such as 2h ago")
    .addOption(watch())
    .addOption(json())
    .action(act(async (parts, text, options) => (await import("./commands/runs.ts")).runs(parts, text, options)));
  runs
    .command("export")
    .description("print every run, oldest first, a line of JSON each")
    .argument("[job]", job)
    .option("--format <format>", "jsonl")
    .option("--state <state>", "claimed, running, completed, failed or void")
    .option("--since <time>", "claimed since this time, ISO 8601, or a length such as 2h ago")
    .action(
      act(async (parts, text, options) => (await import("./commands/runs-export.ts")).runsExport(parts, text, options)),
    );
  program
    .command("slots")
    .description("what became of each scheduled instant")
    .argument("[job]", job)
    .option("--limit <n>", "how many; 0 means all (200)")
    .option("--since <time>", "scheduled since this time, ISO 8601, or a length such as 2h ago")
    .addOption(watch())
    .addOption(json())
    .action(act(async (parts, text, options) => (await import("./commands/slots.ts")).slots(parts, text, options)));
  program
    .command("logs")
    .description("output of a run, or of a job's latest")
    .argument("<run|job>", `run id or its beginning, or a job: ${job}`)
    .option("-f, --follow", "go on until the run has ended")
    .option("--tail <n>", "only the last lines")
    .addOption(raw())
    .addOption(json())
    .action(act(async (parts, text, options) => (await import("./commands/logs.ts")).logs(parts, text, options)));
  program
    .command("run")
    .description("run a job now and follow its output")
    .argument("<job>", job)
    .option("--detach", "print the run's id and return")
    .addOption(raw())
    .addOption(json())
    .action(act(async (parts, text, options) => (await import("./commands/run.ts")).run(parts, text, options)));
  program
    .command("stop")
    .description("stop a run, and return when nothing of it is left")
    .argument("<run|job>", `run id or its beginning, or a job: ${job}`)
    .option("--now", "kill it without asking it to end first")
    .addOption(json())
    .action(act(async (parts, text, options) => (await import("./commands/stop.ts")).stop(parts, text, options)));
  program
    .command("explain")
    .description("why a job did or did not run, in sentences")
    .argument("<job>", job)
    .argument(
      "[time]",
      "then: ISO 8601, a time of today such as 9:00, or a length such as 2h ago, +2h ahead; else the newest",
    )
    .addOption(json())
    .action(
      act(async (parts, text, time, options) =>
        (await import("./commands/explain.ts")).explainJob(parts, text, time, options),
      ),
    );
  program
    .command("verify")
    .description("check the laws of a supervisor against the history, the stores and the live processes")
    .addOption(json())
    .action(act(async (parts, options) => (await import("./commands/verify.ts")).verify(parts, options)));
  program
    .command("completion")
    .description("print what makes a shell complete commands, options and names of jobs")
    .addArgument(new Argument("<shell>", "for which shell").choices(shells))
    .action(act(async (parts, shell) => (await import("./commands/completion.ts")).completion(parts, shell)));
  program
    .command("__complete", { hidden: true })
    .argument("[words...]")
    .action(async (words: readonly string[], _options: object, command: Command) => {
      const { completeWords, foldersAmong } = await import("./commands/completion.ts");
      const { home, state } = foldersAmong(words);
      if (home !== null) program.setOptionValue("home", home);
      if (state !== null) program.setOptionValue("state", state);
      // A person who pressed Tab wants to read of no fault: without an answer the shell offers nothing.
      await openParts(command)
        .then((parts) => completeWords(parts, program, words))
        .catch(() => undefined);
    });
  program
    .command("doctor")
    .description("check the installation, and say how to mend what it finds")
    .option("--chaos", "kill daemons on a copy for half a minute, and show that nothing is lost")
    .option("--kills <n>", "with --chaos, how often (40)")
    .addOption(json())
    .action(
      act(async (parts, options) =>
        options.chaos
          ? (await import("./commands/doctor-chaos.ts")).doctorChaos(parts, options)
          : (await import("./commands/doctor.ts")).doctor(parts, options),
      ),
    );
  const config = program.command("config").description("check, show, compare or find the configuration");
  config
    .command("check")
    .description("say what is wrong with it, and what in it cannot be met")
    .argument("[file]", "a file that is not in its place yet; else every config file there is")
    .addOption(whose())
    .addOption(set())
    .addOption(json())
    .action(
      act(async (parts, file, options) =>
        (await import("./commands/config-check.ts")).configCheck(parts, file, options),
      ),
    );
  config
    .command("show")
    .description("print the effective values, each with its source")
    .argument("[home|job]", `only of this home or job: a profile's name, or a job: ${job}`)
    .addOption(set())
    .addOption(json())
    .action(
      act(async (parts, what, options) => (await import("./commands/config-show.ts")).configShow(parts, what, options)),
    );
  config
    .command("diff")
    .description("what a reload would change, and what that does to the next 24 hours")
    .argument("[file]", "a file that is not in its place yet; else the files as they stand")
    .addOption(whose())
    .addOption(json())
    .action(
      act(async (parts, file, options) => (await import("./commands/config-diff.ts")).configDiff(parts, file, options)),
    );
  config
    .command("path")
    .description("print where the host's file is")
    .addOption(json())
    .action(act(async (parts, options) => (await import("./commands/config-path.ts")).configPath(parts, options)));
  const gateway = program.command("gateway").description("make the gateway's own ticker stand down, or not");
  gateway
    .command("attach")
    .description("let the gateway run jobs only while the daemon does not, and deliver what it hands over")
    .argument("[home]", "only this home; else the root home and each profile with a gateway of its own")
    .option("-y, --yes", "do not ask")
    .action(act(async (parts, home, options) => (await import("./commands/gateway.ts")).attach(parts, home, options)));
  gateway
    .command("detach")
    .description("take away all that attach did")
    .argument("[home]", "only this home; else every one")
    .option("-y, --yes", "do not ask")
    .action(act(async (parts, home, options) => (await import("./commands/gateway.ts")).detach(parts, home, options)));
  gateway
    .command("status")
    .description("for each home, whether its gateway is attached, and who runs its jobs now")
    .addOption(json())
    .action(act(async (parts, options) => (await import("./commands/gateway.ts")).gatewayStatus(parts, options)));
  for (const name of ["install", "uninstall"] as const) {
    const isInstall = name === "install";
    const command = program
      .command(name)
      .description(isInstall ? "write the files of a service that starts the daemon" : "delete what install wrote")
      .addArgument(new Argument("<kind>", "the service manager").choices(serviceKinds))
      .option("--user", "a service of this user (unless this is root)")
      .option("--system", "a service of the machine, run as the owner of the home")
      .option("--name <name>", "the name of the service (hermes-supervisor)")
      .option("--to <dir>", "the folder of services, in place of the usual one")
      .option("-y, --yes", "do not ask before a changed file");
    if (isInstall) command.option("--print", "print the files and write nothing");
    command.action(
      act(async (parts, kind, options) => (await import("./commands/install.ts"))[name](parts, kind, options)),
    );
  }

  let misused = program;
  for (const command of [...program.commands, ...runs.commands, ...config.commands, ...gateway.commands]) {
    command.exitOverride((error) => {
      misused = command;
      throw error;
    });
    if (command === config || command === gateway) continue;
    command.addOption(new Option("--home <dir>").hideHelp());
    if (takesStateFolder(command)) command.addOption(new Option("--state <dir>").hideHelp());
  }

  try {
    await program.parseAsync([...outside.arguments], { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.done;
    const failure = describeFailure(error, complaint, nameOf(misused));
    if (failure === null) throw error;
    if (wantsJson) {
      terminal.out(formatJson({ error: { code: failure.code, message: failure.message } }));
    } else terminal.error(`${failure.message}\n`);
    return failure.exitCode;
  }
}

/** As it is typed. */
function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}

interface Folders {
  readonly home?: string;
  readonly state?: string;
}

/** The folders may stand behind the command too, but for `runs` that word asks for runs in a state. */
function takesStateFolder(command: Command): boolean {
  return command.name() !== "runs" && command.parent?.name() !== "runs";
}

/** A variable of a script that was never set would otherwise stand for the folder that one happens to be in. */
function folder(option: string, path: string | undefined): string | null {
  if (path?.trim() === "")
    throw new CommandError(exitCodes.usage, "usage", `Cannot use ${option} "${path}": expected the path of a folder`);
  return path ?? null;
}

function findRootHome(system: ReadingSystem, environment: Outside["environment"], flag: string | null): string {
  try {
    return resolveRootHome(system.files, environment, flag);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new CommandError(exitCodes.usage, "usage", error.message, { cause: error });
  }
}
