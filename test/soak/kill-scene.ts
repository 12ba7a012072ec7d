import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLocks } from "../../src/system/flock.ts";
import { sleep, unixMs } from "../bench/programs.ts";
import { formatNumber } from "../bench/table.ts";
import { createSeededRandom } from "../helpers/seeded-random.ts";
import type { Daemon, JobRecord } from "../helpers/supervised-home.ts";
import { type DaemonLife, type Finding, type JobHistory, judge } from "./judge.ts";
import { earlyMs, type Kill, planKills } from "./plan-kills.ts";
import { comeToRest, drain, keepLog, readHistories, verifyIn } from "./rest.ts";
import type { SceneReport } from "./scene.ts";
import { homePath, type SoakHome, writeHomes, writeScript } from "./soak-home.ts";
import { instantsOf, makeOneShot, makeSoakJobs, recordOf, soakHomes } from "./soak-jobs.ts";

const handOverMsMax = 2000;
const killsPerMinuteMin = 20;
/** In less time a few long lives of the daemon say nothing about the rate. */
const rateMinutesMin = 2;
/** A one-shot is put into a store about this often, as a person or an agent does it. */
const oneShotEveryMs = 12_000;

interface KilledLife extends DaemonLife {
  readonly kill: Kill;
  /** From the signal to the end, for a planned restart that was obeyed. */
  readonly handedOverMs: number | null;
}

/** Kills the daemon over and over, lets a last one come to rest, and holds what it recorded against what its jobs wrote down. */
export async function playKillScene(
  home: SoakHome,
  { minutes, seed }: { readonly minutes: number; readonly seed: number },
): Promise<SceneReport> {
  const random = createSeededRandom(seed);
  const jobs = [...makeSoakJobs(unixMs() + 3000, random)];
  // One home has room for all of its jobs, the other has not.
  writeHomes(home, jobs, { default: 32, work: 8 });
  home.hostConfig(
    "limits: {max_open_runs: 64}\nstop: {grace: 500 ms}\ndefaults: {crash_loop: none}\nretention: {runs_max: 1000000}\n",
  );

  const findings: Finding[] = [];
  const beganMs = unixMs();
  const lives = await killUntil(home, beganMs + minutes * 60_000, random, findings, (nowMs) => {
    const index = jobs.length;
    const name = soakHomes[index % soakHomes.length] ?? "default";
    const job = makeOneShot(
      name,
      `f${index.toString(16).padStart(11, "0")}`,
      Math.floor(nowMs + 500 + random() * 5000),
      index,
    );
    writeScript(home, job);
    addJob(homePath(home, name), recordOf(job));
    jobs.push(job);
  });
  const untilMs = unixMs();

  const last = home.start();
  const lastStartedMs = unixMs();
  await last.said('"msg":"ready"');
  await comeToRest(home, jobs, untilMs);
  findings.push(...verifyIn(home, "beside a living daemon"));
  findings.push(...(await drain(home, last)), ...verifyIn(home, "without a daemon"));

  const allLives = [...lives, { startedMs: lastStartedMs, endedMs: unixMs(), killed: false }];
  const histories = readHistories(home, jobs);
  findings.push(...judge(histories, allLives, untilMs));
  const tookMinutes = (untilMs - beganMs) / 60_000;
  if (tookMinutes >= rateMinutesMin && lives.length < killsPerMinuteMin * tookMinutes) {
    findings.push({
      fault: "other",
      text: `there were ${lives.length} kills in ${tookMinutes.toFixed(1)} min, expected ${killsPerMinuteMin} a minute`,
    });
  }
  return { findings, rows: figures(histories, lives, findings, tookMinutes, untilMs) };
}

async function killUntil(
  home: SoakHome,
  endMs: number,
  random: () => number,
  findings: Finding[],
  addOneShot: (nowMs: number) => void,
): Promise<readonly KilledLife[]> {
  const lives: KilledLife[] = [];
  let nextOneShotMs = unixMs() + oneShotEveryMs;
  for (const kill of planKills(random)) {
    const startedMs = unixMs();
    const daemon = home.start();
    let ended = false;
    void daemon.exited.then(() => {
      ended = true;
    });
    if (kill.since !== "start") await said(daemon, kill.since === "ready" ? '"msg":"ready"' : "\n");
    await Promise.race([sleep(kill.afterMs), daemon.exited]);
    if (kill.intoSecondMs !== undefined) {
      await Promise.race([sleep(1000 - (unixMs() % 1000) + kill.intoSecondMs), daemon.exited]);
    }
    if (ended) {
      const { code, signal } = await daemon.exited;
      findings.push({ fault: "other", text: `a daemon ended by itself with ${code ?? signal}, see daemon.log` });
    }
    const killedMs = unixMs();
    daemon.kill(kill.signal);
    const { code, signal } = await daemon.exited;
    const endedMs = unixMs();
    keepLog(
      home,
      daemon,
      `${kill.signal} ${Math.round(kill.afterMs)} ms after ${kill.since}, ended with ${code ?? signal}`,
    );
    const handedOver = kill.signal === "SIGTERM" && code === 0;
    if (kill.signal === "SIGTERM" && !handedOver)
      findings.push({ fault: "other", text: `a daemon ended with ${code ?? signal} after SIGTERM` });
    const handedOverMs = handedOver ? endedMs - killedMs : null;
    if (handedOverMs !== null && handedOverMs > handOverMsMax) {
      findings.push({
        fault: "other",
        text: `a daemon took ${Math.round(handedOverMs)} ms to hand over, expected ${handOverMsMax} at most`,
      });
    }
    lives.push({ startedMs, endedMs, killed: !handedOver, kill, handedOverMs });
    if (unixMs() > nextOneShotMs) {
      addOneShot(unixMs());
      nextOneShotMs = unixMs() + oneShotEveryMs * (0.5 + random());
    }
    if (unixMs() >= endMs) return lives;
    await sleep(kill.pauseMs);
  }
  return lives;
}

async function said(daemon: Daemon, text: string): Promise<void> {
  try {
    await daemon.said(text);
  } catch {
    // It ended before; the caller sees that and says so.
  }
}

/** Puts a job into the store as Hermes does: under its lock, with one replace. */
function addJob(path: string, record: JobRecord): void {
  const lock = createLocks().lockWithin(join(path, "cron/.jobs.lock"), 5000);
  try {
    const file = join(path, "cron/jobs.json");
    const store = JSON.parse(readFileSync(file, "utf8")) as { readonly jobs: readonly unknown[] };
    writeFileSync(`${file}.soak`, JSON.stringify({ ...store, jobs: [...store.jobs, record] }, null, 2), {
      mode: 0o600,
    });
    renameSync(`${file}.soak`, file);
  } finally {
    lock.release();
  }
}

function figures(
  histories: readonly JobHistory[],
  lives: readonly KilledLife[],
  findings: readonly Finding[],
  minutes: number,
  untilMs: number,
): SceneReport["rows"] {
  const runs = histories.flatMap((history) => history.runs);
  const slots = histories.flatMap((history) => history.slots);
  const count = <Item>(items: readonly Item[], holds: (item: Item) => boolean): string =>
    String(items.filter(holds).length);
  const found = (fault: Finding["fault"]): string => count(findings, (finding) => finding.fault === fault);
  const handOvers = lives.flatMap((life) => (life.handedOverMs === null ? [] : [life.handedOverMs]));
  const instants = histories.reduce((sum, { job }) => sum + instantsOf(job, untilMs).length, 0);
  return [
    ["minutes", minutes.toFixed(1)],
    ["jobs (one-shots that came later)", `${histories.length} (${histories.length - 40})`],
    ["kills of the daemon", `${lives.length} (${formatNumber(lives.length / minutes)} a minute)`],
    [
      `  within ${earlyMs} ms of its start`,
      count(lives, ({ kill }) => kill.since === "start" && kill.afterMs <= earlyMs),
    ],
    [`  within ${earlyMs} ms of its first line`, count(lives, ({ kill }) => kill.since === "first_line")],
    ["  at any other time", count(lives, ({ kill }) => kill.since === "start" && kill.afterMs > earlyMs)],
    ["  SIGTERM", count(lives, ({ kill }) => kill.signal === "SIGTERM")],
    ["longest hand-over", `${formatNumber(Math.max(0, ...handOvers))} ms`],
    ["scheduled instants", String(instants)],
    ...(["run", "coalesce", "skip"] as const).map(
      (decision) =>
        [
          `  ${decision}`,
          count(slots, (slot) => slot.decision === decision && Date.parse(slot.scheduled_at) <= untilMs),
        ] as const,
    ),
    ["runs", String(runs.length)],
    ["  completed", count(runs, (run) => run.state === "completed")],
    ["  failed by exit code or signal", count(runs, (run) => run.reason === "exit" || run.reason === "signal")],
    ["  failed, orphaned", count(runs, (run) => run.reason === "orphaned")],
    ["  void, their slots served later", count(runs, (run) => run.state === "void")],
    [
      "  adopted, exit code recorded",
      count(runs, (run) => run.adopted && run.exit_code !== null && run.reason !== "orphaned"),
    ],
    ["overlaps", found("overlap")],
    ["lost slots", found("lost slot")],
    ["doubled slots", found("doubled slot")],
    ["wrong outcomes", found("wrong outcome")],
    ["processes left", found("process left")],
    ["other findings, verify among them", found("other")],
  ];
}
