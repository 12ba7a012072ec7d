import { spawn } from "node:child_process";
import { join } from "node:path";
import type { SeenHold } from "../bench/lock-probe.ts";
import { plainVariables, sleep, unixMs } from "../bench/programs.ts";
import { percentile } from "../bench/statistics.ts";
import { formatNumber } from "../bench/table.ts";
import { type Finding, judge } from "./judge.ts";
import { comeToRest, drain, readHistories, verifyIn } from "./rest.ts";
import type { SceneReport } from "./scene.ts";
import { homePath, type SoakHome, writeHomes } from "./soak-home.ts";
import { instantsOf, type SoakJob, soakHomes } from "./soak-jobs.ts";

const jobsPerHome = 25;
const everySeconds = 2;
const heldMsMax = 3;
/** The first instants come when the daemon has long been ready. */
const leadMs = 4000;

/** 50 jobs due together every 2 seconds, and another process at each tick lock that tries it all the time. */
export async function playSecondsScene(
  home: SoakHome,
  { minutes }: { readonly minutes: number },
): Promise<SceneReport> {
  const periodMs = everySeconds * 1000;
  const firstMs = Math.ceil((unixMs() + leadMs) / periodMs) * periodMs;
  const jobs = soakHomes.flatMap((name, turn) =>
    Array.from({ length: jobsPerHome }, (_, index): SoakJob => {
      const id = `${turn}${index.toString(16).padStart(11, "0")}`;
      return { home: name, id, rule: { kind: "cron", everySeconds }, firstMs, body: "finish 0" };
    }),
  );
  // Room for all of them at once, so that no instant waits for it.
  writeHomes(home, jobs, { default: jobsPerHome, work: jobsPerHome });
  home.hostConfig(`limits: {max_open_runs: ${jobs.length}}\nretention: {runs_max: 1000000}\n`);

  const untilMs = firstMs + minutes * 60_000;
  const daemon = home.start();
  await daemon.said('"msg":"ready"');
  const holds = (
    await Promise.all(soakHomes.map((name) => probe(join(homePath(home, name), "cron/.tick.lock"), untilMs)))
  ).flat();
  await sleep(untilMs - unixMs());
  await comeToRest(home, jobs, untilMs);
  const findings: Finding[] = [...(await drain(home, daemon)), ...verifyIn(home, "without a daemon")];
  const histories = readHistories(home, jobs);
  findings.push(...judge(histories, [], untilMs));

  const seen = holds.filter(({ atMs }) => atMs >= firstMs);
  const atMost = seen.map((hold) => hold.atMostMs);
  const atLeast = seen.map((hold) => hold.atLeastMs);
  // From the first try that saw the lock held to the last: what others can see. The tries around them are the upper bound.
  const p99Ms = atLeast.length === 0 ? Number.NaN : percentile(atLeast, 0.99);
  if (!(p99Ms <= heldMsMax)) {
    findings.push({
      fault: "other",
      text: `the tick lock was seen held for ${formatNumber(p99Ms)} ms at p99, expected ${heldMsMax} at most`,
    });
  }
  const slots = histories
    .flatMap((history) => history.slots)
    .filter((slot) => Date.parse(slot.scheduled_at) <= untilMs);
  const runs = histories.flatMap((history) => history.runs);
  const lateness = runs.flatMap((run) => (run.lateness_ms === null ? [] : [run.lateness_ms]));
  const row = (name: string, samples: readonly number[]): readonly [string, string] => {
    const shares = [0.5, 0.99, 1].map((share) =>
      samples.length === 0 ? "–" : formatNumber(percentile(samples, share)),
    );
    return [name, `${shares.join(" / ")} ms`];
  };
  const marks = histories.flatMap((history) => history.marks);
  return {
    findings,
    rows: [
      ["minutes", String(minutes)],
      ["scheduled instants", String(jobs.reduce((sum, job) => sum + instantsOf(job, untilMs).length, 0))],
      ["slot lines", String(slots.length)],
      ["  run, on time", String(slots.filter((slot) => slot.decision === "run" && slot.reason === "on_time").length)],
      ["  run, late", String(slots.filter((slot) => slot.decision === "run" && slot.reason !== "on_time").length)],
      ["  coalesce", String(slots.filter((slot) => slot.decision === "coalesce").length)],
      ["  skip", String(slots.filter((slot) => slot.decision === "skip").length)],
      ["runs", String(runs.length)],
      ["  with evidence of their end", String(marks.filter((mark) => mark.what === "end").length)],
      row("due to gate opened: p50 / p99 / max", lateness),
      ["overlaps", String(findings.filter((finding) => finding.fault === "overlap").length)],
      ["tick lock seen held, times", String(seen.length)],
      row("  at most: p50 / p99 / max", atMost),
      row("  at least: p50 / p99 / max", atLeast),
      ["findings", String(findings.length)],
    ],
  };
}

async function probe(lockPath: string, untilMs: number): Promise<readonly SeenHold[]> {
  const path = join(import.meta.dirname, "../bench/lock-probe.ts");
  const child = spawn(process.execPath, [path, lockPath, String(untilMs)], {
    env: plainVariables(),
    stdio: ["ignore", "pipe", "inherit"],
    timeout: Math.ceil(untilMs - unixMs()) + 10_000,
  });
  let text = "";
  for await (const part of child.stdout) text += String(part);
  return JSON.parse(text) as readonly SeenHold[];
}
