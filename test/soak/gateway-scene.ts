import { spawnSync } from "node:child_process";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLocks } from "../../src/system/flock.ts";
import { sleep, unixMs } from "../bench/programs.ts";
import { formatNumber } from "../bench/table.ts";
import { executions } from "../conformance/executions.ts";
import type { Home } from "../conformance/home.ts";
import { hermesPython, releases } from "../conformance/releases.ts";
import { type StubModel, startStubModel, stubConfig } from "../conformance/stub-model.ts";
import { createSeededRandom } from "../helpers/seeded-random.ts";
import type { Daemon } from "../helpers/supervised-home.ts";
import { isElsewhere } from "./evidence.ts";
import type { DaemonLife, Finding } from "./judge.ts";
import { type Blow, planBlows } from "./plan-blows.ts";
import { comeToRest, drain, keepLog, readHistories, verifyIn } from "./rest.ts";
import type { SceneReport } from "./scene.ts";
import { makeSharedJobs, type SharedJob, sharedRecordOf } from "./shared-jobs.ts";
import { judgeShared, overlapsWithLeftOvers, promptMarks, type SharedHistory, type Taken } from "./shared-judge.ts";
import { type SoakGateway, startSoakGateway } from "./soak-gateway.ts";
import { type SoakHome, writeScript } from "./soak-home.ts";
import { instantsOf } from "./soak-jobs.ts";

export interface GatewaySceneOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly attached: boolean;
  readonly release: keyof typeof releases;
}

/** An attached gateway that has taken over goes round this often, so that it runs much in a short time; else each minute, as it comes. */
const attachedTickSeconds = 5;
const leadMs = 5000;
/** Hermes keeps the newest 1000 rows of its ledger, ours among them. */
const readRowsEveryMs = 15_000;
const scriptMsMax = 10_000;
const spareMs = 20_000;

/** A real gateway and our daemon on one home, and five times one of the two is killed. */
export async function playGatewayScene(home: SoakHome, options: GatewaySceneOptions): Promise<SceneReport> {
  const { minutes, seed, attached, release } = options;
  const python = await hermesPython(releases[release]);
  const model = await startStubModel();
  const shared: Home = { path: home.path, folder: home.folder, python };
  const variables = { HERMES_SUPERVISOR_PYTHON: python };
  mkdirSync(join(home.folder, "user"), { recursive: true });
  home.file("config.yaml", stubConfig(model.url, "cron: {max_parallel_jobs: 32}\n"));
  home.file(".env", "STUB_API_KEY=key-of-soak\n");
  home.hostConfig("limits: {max_open_runs: 64}\ndefaults: {crash_loop: none}\nretention: {runs_max: 1000000}\n");
  home.writeJobs([]);
  if (attached) attach(home, variables);

  const findings: Finding[] = [];
  const startGateway = (): SoakGateway => startSoakGateway(shared, attached ? attachedTickSeconds : null);
  let daemon = home.start(variables);
  let daemonStartedMs = unixMs();
  let gateway = startGateway();
  await daemon.said('"msg":"ready"');
  await gateway.ready();
  const jobs = makeSharedJobs(unixMs() + leadMs, attached);
  for (const job of jobs) if (job.kind === "script") writeScript(home, job);
  putJobs(home, jobs);

  const taken = collectTaken(shared);
  const rows = setInterval(() => taken.look(), readRowsEveryMs);
  const daemonLives: DaemonLife[] = [];
  const gatewayKillsMs: number[] = [];
  const beganMs = unixMs();
  const blows = planBlows(createSeededRandom(seed), minutes);
  for (const { side, atMs, pauseMs } of blows) {
    await sleep(beganMs + atMs - unixMs());
    if (side === "gateway") {
      await gateway.kill();
      gatewayKillsMs.push(unixMs());
      await sleep(pauseMs);
      gateway = startGateway();
      await gateway.ready();
      continue;
    }
    findings.push(...(await killDaemon(home, daemon)));
    daemonLives.push({ startedMs: daemonStartedMs, endedMs: unixMs(), killed: true });
    await sleep(pauseMs);
    daemonStartedMs = unixMs();
    daemon = home.start(variables);
    await daemon.said('"msg":"ready"');
  }
  await sleep(beganMs + minutes * 60_000 - unixMs());

  await gateway.stop();
  gatewayKillsMs.push(unixMs());
  await sleep(scriptMsMax);
  clearInterval(rows);
  taken.look();
  const untilMs = unixMs();
  await comeToRest(
    home,
    jobs.filter((job) => job.rule.kind === "cron"),
    untilMs,
  );
  findings.push(...verifyIn(home, "beside a living daemon"));
  findings.push(...(await drain(home, daemon, spareMs)), ...verifyIn(home, "without a daemon"));
  daemonLives.push({ startedMs: daemonStartedMs, endedMs: unixMs(), killed: false });
  await model.close();

  const histories = readShared(home, jobs, model, taken.ofJob);
  const scene = { daemonLives, gatewayKillsMs, untilMs };
  // All that is judged, for whoever has to explain a finding.
  writeFileSync(join(home.folder, "histories.json"), JSON.stringify({ histories, scene }));
  findings.push(...judgeShared(histories, scene));
  const leftOvers = histories.reduce((sum, history) => sum + overlapsWithLeftOvers(history, scene).length, 0);
  return {
    findings,
    rows: figures(options, histories, blows, findings, untilMs),
    warnings: warningsOf(options, leftOvers),
  };
}

function warningsOf({ attached, release }: GatewaySceneOptions, leftOvers: number): readonly string[] {
  const limit =
    "0.19 not attached: its gateway looks at no claim, and starts a job again whose run outlasts its interval. All scripts here are shorter";
  const left = `${leftOvers} runs began beside a script that a killed gateway had left, of which Hermes keeps no trace`;
  return [...(attached || release !== "0.19" ? [] : [limit]), ...(leftOvers === 0 ? [] : [left])];
}

function attach(home: SoakHome, variables: Readonly<Record<string, string>>): void {
  const [program = "", ...args] = home.command("gateway", "attach", "--yes");
  const ended = spawnSync(program, args, {
    env: { PATH: process.env["PATH"] ?? "", HOME: home.folder, LANG: "C.UTF-8", ...variables },
    encoding: "utf8",
  });
  if (ended.status !== 0) throw new Error(`Cannot attach the gateway: ${ended.stdout}${ended.stderr}`);
}

/** Puts all jobs into the store as Hermes does: under its lock, with one replace. */
function putJobs(home: SoakHome, jobs: readonly SharedJob[]): void {
  const lock = createLocks().lockWithin(join(home.path, "cron/.jobs.lock"), 5000);
  try {
    const file = join(home.path, "cron/jobs.json");
    const store = { jobs: jobs.map(sharedRecordOf), updated_at: new Date().toISOString() };
    writeFileSync(`${file}.soak`, JSON.stringify(store, null, 2), { mode: 0o600 });
    renameSync(`${file}.soak`, file);
  } finally {
    lock.release();
  }
}

async function killDaemon(home: SoakHome, daemon: Daemon): Promise<readonly Finding[]> {
  const early = daemon.process.exitCode ?? daemon.process.signalCode;
  daemon.kill("SIGKILL");
  const { code, signal } = await daemon.exited;
  keepLog(home, daemon, `SIGKILL, ended with ${code ?? signal}`);
  return early === null ? [] : [{ fault: "other", text: `a daemon ended by itself with ${early}, see daemon.log` }];
}

/** Gathers what the gateway took, before Hermes forgets it. */
function collectTaken(home: Home): { look(): void; ofJob(jobId: string): readonly Taken[] } {
  const known = new Map<string, Taken & { readonly jobId: string }>();
  return {
    look() {
      for (const row of executions(home)) {
        if (row.source === "supervisor") continue;
        const instant = row["scheduled_instant"];
        known.set(row.id, {
          jobId: row.job_id,
          claimedMs: Date.parse(row.claimed_at),
          finishedMs: row.finished_at === null ? null : Date.parse(row.finished_at),
          instantMs: typeof instant === "string" ? Date.parse(instant) : null,
        });
      }
    },
    ofJob: (jobId) =>
      [...known.values()].filter((one) => one.jobId === jobId).sort((one, other) => one.claimedMs - other.claimedMs),
  };
}

function readShared(
  home: SoakHome,
  jobs: readonly SharedJob[],
  model: StubModel,
  takenOf: (jobId: string) => readonly Taken[],
): readonly SharedHistory[] {
  return readHistories(home, jobs).map((history, index) => {
    const job = jobs[index];
    const taken = takenOf(history.job.id);
    if (job?.kind !== "prompt") return { ...history, taken };
    const requests = model.requests
      .filter(({ body }) => body.includes(job.body))
      .map(({ atMs }) => ({ atMs: performance.timeOrigin + atMs }));
    return { ...history, taken, marks: promptMarks(requests, history.runs) };
  });
}

function figures(
  { minutes, attached, release }: GatewaySceneOptions,
  histories: readonly SharedHistory[],
  blows: readonly Blow[],
  findings: readonly Finding[],
  untilMs: number,
): SceneReport["rows"] {
  const slots = histories
    .flatMap((history) => history.slots)
    .filter((slot) => Date.parse(slot.scheduled_at) <= untilMs);
  const runs = histories.flatMap((history) => history.runs);
  const count = <Item>(items: readonly Item[], holds: (item: Item) => boolean): string =>
    String(items.filter(holds).length);
  const found = (fault: Finding["fault"]): string => count(findings, (finding) => finding.fault === fault);
  const starts = (kind: string, isTheirs: boolean): string =>
    String(
      histories
        .filter((history) => history.job.id.startsWith(kind))
        .flatMap((history) => history.marks)
        .filter((mark) => mark.what === "start" && isElsewhere(mark) === isTheirs).length,
    );
  const pauses = (side: Blow["side"]): string => {
    const own = blows.filter((blow) => blow.side === side).map((blow) => `${formatNumber(blow.pauseMs / 1000)} s`);
    return `${own.length} (away for ${own.join(", ")})`;
  };
  const crons = histories.filter(({ job }) => job.rule.kind === "cron");
  return [
    ["minutes", String(minutes)],
    ["Hermes, gateway", `${release}, ${attached ? "attached" : "not attached"}`],
    ["kill -9 of the daemon", pauses("daemon")],
    ["kill -9 of the gateway", pauses("gateway")],
    ["jobs: scripts, prompts", "20, 5"],
    ["instants of the cron jobs", String(crons.reduce((sum, { job }) => sum + instantsOf(job, untilMs).length, 0))],
    ["slot lines, intervals among them", String(slots.length)],
    ["  run by us", count(slots, (slot) => slot.decision === "run" && slot.reason !== "elsewhere")],
    ["  run by the gateway (elsewhere)", count(slots, (slot) => slot.reason === "elsewhere")],
    ["  folded into another run of ours", count(slots, (slot) => slot.decision === "coalesce")],
    ["  skipped as overlap", count(slots, (slot) => slot.decision === "skip")],
    ["  taken off the schedule by the gateway", count(slots, (slot) => slot.decision === "move")],
    ["scripts started: by us, by the gateway", `${starts("a", false)}, ${starts("a", true)}`],
    ["prompts at the model: by us, by the gateway", `${starts("b", false)}, ${starts("b", true)}`],
    ["our runs", String(runs.length)],
    ["  orphaned", count(runs, (run) => run.reason === "orphaned")],
    ["  void, their slots served later", count(runs, (run) => run.state === "void")],
    ["overlaps", found("overlap")],
    ["instants run twice", found("doubled slot")],
    ["instants lost", found("lost slot")],
    ["wrong outcomes", found("wrong outcome")],
    ["processes left", found("process left")],
    ["other findings, verify among them", found("other")],
  ];
}
