import { readFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { type CliHome, claimedRun, completed, createCliHome, nowMs, record, slot } from "../cli/cli-home.ts";

const path = "docs/cli.md";
const begin = "<!-- Written by test/write-cli-documents.ts from here on. -->";
const shownHome = "/home/me/.hermes";
const linesMax = 40;

/** With what they print, in the home that is prepared below. */
const examples: Readonly<Record<string, readonly string[]>> = {
  status: ["status"],
  jobs: ["jobs"],
  next: ["next", "--count", "2"],
  runs: ["runs", "--limit", "3"],
  slots: ["slots", "--limit", "3"],
  logs: ["logs", "nightly"],
  explain: ["explain", "backup", "11:30"],
  verify: ["verify"],
  "config check": ["config", "check"],
  "config show": ["config", "show", "nightly"],
  "gateway status": ["gateway", "status"],
  "config path": ["config", "path"],
};

/** What needs a daemon, or tells of the machine, is shown as it is typed. */
const typed: Readonly<Record<string, readonly string[]>> = {
  start: ["start", "start --once", "start --set stop.grace=30s"],
  demo: ["demo"],
  run: ["run backup", "run backup --detach --json"],
  stop: ["stop backup", "stop 9k2jq7m4ab1c --now"],
  "runs export": ["runs export --since 24h > runs.jsonl"],
  doctor: ["doctor", "doctor --json"],
  completion: ["completion fish > ~/.config/fish/completions/hermes-supervisor.fish"],
  "config diff": ["config diff new.yaml --for host"],
  "gateway attach": ["gateway attach"],
  "gateway detach": ["gateway detach --yes"],
  install: ["install systemd --print", "install systemd"],
  uninstall: ["uninstall systemd"],
};

/** The files that are written from what the commands print: each with its path. */
export async function cliDocuments(): Promise<readonly (readonly [string, string])[]> {
  const text = readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  const written = text.includes(begin) ? text.slice(0, text.indexOf(begin)) : `${text.trimEnd()}\n\n`;
  const home = createCliHome();
  try {
    prepare(home);
    const commands = await listCommands(home, []);
    const sections: string[] = [];
    for (const command of commands) sections.push(await section(home, command));
    return [[path, `${written}${begin}\n\n## Every command\n\n${sections.join("\n")}`]];
  } finally {
    home.remove();
  }
}

function prepare(home: CliHome): void {
  const last = (seconds: string): object => ({ last_run_at: `2026-01-05T11:30:${seconds}+00:00` });
  home.jobs([
    record("aaaa11112222", "nightly", { ...last("02.005000"), last_status: "ok" }),
    record("bbbb11112222", "backup", {
      ...last("09.005000"),
      last_status: "error",
      last_error: "disk full",
      failure_streak: 3,
    }),
    record("cccc11112222", "report", { enabled: false, state: "paused", next_run_at: null }),
  ]);
  const halfPastMs = nowMs - 1_800_000;
  home.ledger((ledger) => {
    const life = ledger.beginLife(4000, nowMs - 86_400_000);
    ledger.beat(life, nowMs - 60_000);
    ledger.endLife(life, nowMs - 60_000);
    ledger.claim([
      claimedRun("4sx1w0c2m9da", "aaaa11112222", "nightly", { scheduledAtMs: halfPastMs, claimedAtMs: halfPastMs + 2 }),
      claimedRun("9k2jq7m4ab1c", "bbbb11112222", "backup", {
        fingerprint: { pid: 4250, startTicks: 101, bootId: "boot", pidNamespace: null },
        scheduledAtMs: halfPastMs,
        claimedAtMs: halfPastMs + 2,
      }),
    ]);
    ledger.start("4sx1w0c2m9da", halfPastMs + 5);
    ledger.close("4sx1w0c2m9da", completed({ endedAtMs: halfPastMs + 2005 }));
    ledger.start("9k2jq7m4ab1c", halfPastMs + 5);
    ledger.close("9k2jq7m4ab1c", {
      ...completed({ endedAtMs: halfPastMs + 9005 }),
      ...{ state: "failed", reason: "exit", exitCode: 3, error: "Script exited with code 3\ndisk full" },
    });
    const served = { scheduledAtMs: halfPastMs, decidedAtMs: halfPastMs + 2, latenessMs: 5 };
    ledger.writeSlots("default", [
      slot("aaaa11112222", { decision: "run", reason: "on_time" }, { ...served, runId: "4sx1w0c2m9da" }),
      slot("bbbb11112222", { decision: "run", reason: "on_time" }, { ...served, runId: "9k2jq7m4ab1c" }),
      slot("bbbb11112222", { decision: "skip", reason: "overlap" }, { scheduledAtMs: nowMs - 30_000 }),
    ]);
  });
  for (const [id, text] of [
    ["4sx1w0c2m9da", "12 files copied\n"],
    ["9k2jq7m4ab1c", "disk full\n"],
  ]) {
    const startedAtSeconds = (halfPastMs + 5) / 1000;
    home.write(`supervisor/runs/${id}/output.log`, text ?? "");
    home.write(`supervisor/runs/${id}/started`, "");
    utimesSync(join(home.state, "runs", id ?? "", "started"), startedAtSeconds, startedAtSeconds);
  }
}

/** Every command that is shown, those within others behind them. */
async function listCommands(home: CliHome, within: readonly string[]): Promise<readonly (readonly string[])[]> {
  const { out } = await home.run(...within, "--help");
  const listed = out.split(/^Commands:\n/m)[1]?.split("\n\n")[0] ?? "";
  const names = [...listed.matchAll(/^ {2}([a-z-]+)/gm)]
    .map(([, name]) => name ?? "")
    .filter((name) => name !== "help");
  const found: (readonly string[])[] = [];
  for (const name of names) {
    const command = [...within, name];
    found.push(command, ...(await listCommands(home, command)));
  }
  return found;
}

async function section(home: CliHome, command: readonly string[]): Promise<string> {
  const shown = (text: string): string => text.replaceAll(home.root, shownHome).replace(/ +$/gm, "").trimEnd();
  const help = (await home.run(...command, "--help")).out;
  const parts = [`### ${command.join(" ")}\n`, `\`\`\`text\n${shown(help)}\n\`\`\`\n`];
  const example = examples[command.join(" ")];
  const lines = typed[command.join(" ")];
  if (lines !== undefined)
    parts.push(`\`\`\`sh\n${lines.map((line) => `hermes-supervisor ${line}\n`).join("")}\`\`\`\n`);
  if (example !== undefined) {
    const line = `$ hermes-supervisor ${example.join(" ")}`;
    const { out } = await home.run(...example);
    const json = cut(shown((await home.run(...example, "--json")).out));
    parts.push(`\`\`\`console\n${line}\n${shown(out)}\n\`\`\`\n`, `\`\`\`console\n${line} --json\n${json}\n\`\`\`\n`);
  }
  return parts.join("\n");
}

function cut(text: string): string {
  const lines = text.split("\n");
  if (lines.length <= linesMax) return text;
  return [...lines.slice(0, linesMax), `… ${lines.length - linesMax} more lines`].join("\n");
}
