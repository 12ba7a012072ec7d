import { readFileSync } from "node:fs";
import { percentile } from "../bench/statistics.ts";
import { formatNumber } from "../bench/table.ts";
import { createSeededRandom } from "../helpers/seeded-random.ts";
import { until } from "../helpers/supervised-home.ts";
import {
  type Edit,
  editedFiles,
  endWaitingRuns,
  lastOf,
  lives,
  makeEdits,
  openWaitingRuns,
  takenIn,
} from "./config-edits.ts";
import type { Finding } from "./judge.ts";
import { drain, verifyIn } from "./rest.ts";
import type { SceneReport } from "./scene.ts";
import type { SoakHome } from "./soak-home.ts";

const editsCount = 1000;
const runsCount = 20;
const [pauseMsMin, pauseMsMax] = [30, 100];
const p99MsMax = 100;
/** What a long life costs anyhow, such as code that is compiled as it gets warm, is over by this edit. */
const warmEdits = 250;
/** Garbage is collected late: a leak is what a thousand edits would not be enough to show otherwise. */
const growthKiBMax = 32 * 1024;

/** 1,000 edits of three config files while 20 runs are open: each in force, soon, and no run the worse for it. */
export async function playConfigScene(home: SoakHome, { seed }: { readonly seed: number }): Promise<SceneReport> {
  const random = createSeededRandom(seed);
  const files = editedFiles(home);
  const daemon = await openWaitingRuns(home, () => home.start(), runsCount);
  const before = home.runs();
  const memory = new Map<number, number>();
  const edits = await makeEdits(
    files,
    editsCount,
    () => pauseMsMin + random() * (pauseMsMax - pauseMsMin),
    (edit) => {
      if (edit % 50 === 0) memory.set(edit, residentKiB(daemon.pid));
    },
  );
  const wanted = lastOf(edits);
  await until(() => Object.entries(lastOf(takenIn(daemon.log()))).every(([path, hash]) => wanted[path] === hash));
  const during = home.runs();
  await endWaitingRuns(home, runsCount);
  const after = home.runs();
  const findings: Finding[] = [...(await drain(home, daemon)), ...verifyIn(home, "without a daemon")];
  const say = (text: string): void => void findings.push({ fault: "other", text });

  const { delays, missed, superseded } = judgeEdits(edits, daemon.log());
  for (const edit of missed) say(`the edit ${edit.way} of ${edit.path} (${edit.hash}) never counted`);
  const foreign = takenIn(daemon.log()).filter((taken) => !edits.some((edit) => edit.hash === taken.hash));
  for (const { path, hash } of foreign) say(`a content of ${path} counted that nobody finished writing (${hash})`);
  const p99Ms = percentile(delays, 0.99);
  if (p99Ms > p99MsMax)
    say(`p99 from a settled edit to its being in force is ${formatNumber(p99Ms)} ms, expected ${p99MsMax} at most`);
  const lifeOf = (runs: typeof before): string => JSON.stringify(runs.map(({ id, pid, state }) => [id, pid, state]));
  if (lifeOf(before) !== lifeOf(during)) say("the open runs are not those that were open before the edits");
  const bad = after.filter((run) => run.state !== "completed" || run.exit_code !== 0 || run.attempt !== 1);
  for (const run of bad) say(`run ${run.id} ended as ${run.state} (${run.reason})`);
  const counts = Object.entries(Object.groupBy(lives(home), (line) => line)).map(
    ([line, all]) => `${all?.length} ${line}`,
  );
  if (after.length !== runsCount || counts.join(", ") !== `${runsCount} start, ${runsCount} end`)
    say(`${after.length} runs, and their scripts wrote ${counts.join(", ")}, expected ${runsCount} of each`);
  const growthKiB = (memory.get(editsCount) ?? 0) - (memory.get(warmEdits) ?? 0);
  if (growthKiB > growthKiBMax)
    say(`the daemon's memory grew by ${growthKiB} KiB over the last ${editsCount - warmEdits} edits`);

  const ways = Object.entries(Object.groupBy(edits, ({ way }) => way));
  return {
    findings,
    rows: [
      ["edits", String(edits.length)],
      ...ways.map(([way, all]): readonly [string, string] => [`  ${way}`, String(all?.length)]),
      ["in force", String(delays.length)],
      [
        "  settled edit to in force: p50 / p99 / max",
        `${[0.5, 0.99, 1].map((share) => formatNumber(percentile(delays, share))).join(" / ")} ms`,
      ],
      ["overtaken by the next edit of the same file", String(superseded)],
      ["runs open throughout", String(before.length)],
      ["runs disturbed", String(bad.length)],
      [
        "daemon's memory at each quarter",
        `${[1, 2, 3, 4].map((quarter) => memory.get((editsCount * quarter) / 4)).join(" / ")} KiB`,
      ],
      ["findings", String(findings.length)],
    ],
  };
}

/** An edit that another one of the same file follows within the bound need not ever count; every other has to. */
function judgeEdits(edits: readonly Edit[], log: string) {
  const taken = takenIn(log);
  const delays: number[] = [];
  const missed: Edit[] = [];
  let superseded = 0;
  for (const [index, edit] of edits.entries()) {
    const found = taken.find((each) => each.path === edit.path && each.hash === edit.hash);
    const next = edits.slice(index + 1).find((other) => other.path === edit.path);
    // The log has whole milliseconds.
    if (found !== undefined) delays.push(Math.max(0, found.atMs - Math.floor(edit.settledMs)));
    else if (next !== undefined && next.settledMs - edit.settledMs < p99MsMax) superseded++;
    else missed.push(edit);
  }
  return { delays, missed, superseded };
}

function residentKiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? Number.NaN);
}
