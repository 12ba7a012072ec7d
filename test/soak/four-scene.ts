import { sleep, unixMs } from "../bench/programs.ts";
import type { Finding } from "./judge.ts";
import { judge } from "./judge.ts";
import { drain, readHistories, verifyIn } from "./rest.ts";
import type { SceneReport } from "./scene.ts";
import { type SoakHome, writeHomes } from "./soak-home.ts";
import { instantsOf, type SoakJob } from "./soak-jobs.ts";

/** The first instants come when the daemon has long been ready. */
const leadMs = 5000;
const lengthMs = 240_000;
/** Before the next minute begins, so that nothing is open when the daemon ends; the last instant has come by then. */
const endMs = 237_000;

const rows = [
  { name: "40 s long, every minute", everySeconds: 60, body: "sleep 40; finish 0", runs: 4, skips: 0 },
  { name: "70 s long, every minute", everySeconds: 60, body: "sleep 70; finish 0", runs: 2, skips: 2 },
  { name: "instant, every minute", everySeconds: 60, body: "finish 0", runs: 4, skips: 0 },
  { name: "instant, every 5 s", everySeconds: 5, body: "finish 0", runs: 48, skips: 0 },
] as const;

/** Four jobs together for four minutes, of which one outlasts its period: what starts, and what becomes of the rest. */
export async function playFourScene(home: SoakHome): Promise<SceneReport> {
  const firstMs = Math.ceil((unixMs() + leadMs) / 60_000) * 60_000;
  const jobs = rows.map(
    ({ everySeconds, body }, index): SoakJob => ({
      home: "default",
      id: String(index).padStart(12, "0"),
      rule: { kind: "cron", everySeconds },
      firstMs,
      body,
    }),
  );
  writeHomes(home, jobs, { default: 4, work: 4 });
  const lastMs = firstMs + lengthMs - 1;
  await sleep(Math.max(0, firstMs - leadMs - unixMs()));
  const daemon = home.start();
  await daemon.said('"msg":"ready"');
  await sleep(firstMs + endMs - unixMs());
  const findings: Finding[] = [...verifyIn(home, "with the daemon"), ...(await drain(home, daemon))];
  const histories = readHistories(home, jobs);
  findings.push(...judge(histories, [], lastMs));
  const table = histories.map(({ job, slots }, index): readonly [string, string] => {
    const { name = "", runs = 0, skips = 0 } = rows[index] ?? {};
    const inTime = slots.filter((slot) => Date.parse(slot.scheduled_at) <= lastMs);
    const ran = inTime.filter((slot) => slot.decision === "run").length;
    const skipped = inTime.filter((slot) => slot.decision === "skip" && slot.reason === "overlap").length;
    const due = instantsOf(job, lastMs).length;
    if (ran !== runs || skipped !== skips) {
      const text = `${name}: ${ran} of ${due} ran and ${skipped} were skipped, expected ${runs} and ${skips}`;
      findings.push({ fault: "lost slot", text });
    }
    return [name, `${ran} of ${due} ran, ${skipped} skip overlap`];
  });
  return { findings, rows: [...table, ["findings", String(findings.length)]] };
}
