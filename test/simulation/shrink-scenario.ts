import type { PlannedHome, PlannedJob, Scenario } from "./scenario.ts";

const triesMax = 400;

/** The smallest scenario found that still fails: whatever can be left out one at a time is left out, until nothing can. */
export async function shrinkScenario(
  scenario: Scenario,
  fails: (smaller: Scenario) => Promise<boolean>,
): Promise<Scenario> {
  let smallest = scenario;
  let tries = 0;
  for (;;) {
    let found = false;
    // The next candidates are of what has just been found, so that each thing is tried once in a round.
    for (let index = 0; tries < triesMax; index++) {
      const candidate = smallerScenarios(smallest)[index];
      if (candidate === undefined) break;
      tries++;
      if (!(await fails(candidate))) continue;
      smallest = candidate;
      found = true;
      index--;
    }
    if (!found || tries >= triesMax) return smallest;
  }
}

function smallerScenarios(scenario: Scenario): readonly Scenario[] {
  const { homes, events } = scenario;
  const found: Scenario[] = [];
  for (const index of events.keys()) found.push({ ...scenario, events: events.toSpliced(index, 1) });
  for (const [index, home] of homes.entries()) {
    const elsewhere = events.filter((event) => !("home" in event) || event.home !== home.name);
    if (homes.length > 1) found.push({ ...scenario, homes: homes.toSpliced(index, 1), events: elsewhere });
    for (const smaller of smallerHomes(home)) found.push({ ...scenario, homes: homes.with(index, smaller) });
  }
  if (scenario.hasControlGroups) found.push({ ...scenario, hasControlGroups: false });
  if (scenario.reaping !== "none") found.push({ ...scenario, reaping: "none" });
  if (scenario.retry !== undefined) {
    const { retry: _, ...without } = scenario;
    found.push(without);
  }
  if (scenario.bounds !== undefined) {
    const { bounds: _, ...without } = scenario;
    found.push(without);
  }
  if (scenario.timeoutMs !== null) found.push({ ...scenario, timeoutMs: null });
  if (typeof scenario.idleTimeoutMs === "number") found.push({ ...scenario, idleTimeoutMs: null });
  if (scenario.orphans !== "fail") found.push({ ...scenario, orphans: "fail" });
  const lastMs = Math.max(0, ...events.map(({ atMs }) => atMs)) + 1000;
  if (lastMs < scenario.lengthMs) found.push({ ...scenario, lengthMs: lastMs });
  if (scenario.quietMs > 60_000) found.push({ ...scenario, quietMs: scenario.quietMs / 2 });
  return found;
}

function smallerHomes(home: PlannedHome): readonly PlannedHome[] {
  const found: PlannedHome[] = [];
  for (const [index, job] of home.jobs.entries()) {
    if (home.jobs.length > 1) found.push({ ...home, jobs: home.jobs.toSpliced(index, 1) });
    for (const smaller of smallerJobs(job)) found.push({ ...home, jobs: home.jobs.with(index, smaller) });
  }
  return found;
}

function smallerJobs(job: PlannedJob): readonly PlannedJob[] {
  const found: PlannedJob[] = [];
  const { programs, detach, ...plain } = job;
  if (detach === true) found.push({ ...plain, programs });
  for (const [index, program] of programs.entries()) {
    if (programs.length > 1) found.push({ ...job, programs: programs.toSpliced(index, 1) });
    if (program.helper !== null) found.push({ ...job, programs: programs.with(index, { ...program, helper: null }) });
  }
  return found;
}
