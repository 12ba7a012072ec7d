import type { FakeProgram } from "../helpers/fake-processes.ts";
import type { PlannedJob, PlannedSchedule, Scenario } from "./scenario.ts";
import type { Finding } from "./simulate.ts";

/** A scenario and what came of it, for whoever has to find out why. */
export function tellStory(scenario: Scenario, findings: readonly Finding[], history: readonly string[]): string {
  const { homes, orphans, timeoutMs, idleTimeoutMs, retry, bounds, reaping, hasControlGroups } = scenario;
  const limits = [
    `orphans: ${orphans}`,
    ...(retry === undefined ? [] : [`retry ${JSON.stringify(retry)}`]),
    ...(bounds === undefined ? [] : [`bounds ${JSON.stringify(bounds)}`]),
    ...(timeoutMs === null ? [] : [`timeout ${seconds(timeoutMs)}`]),
    ...(typeof idleTimeoutMs === "number" ? [`idle_timeout ${seconds(idleTimeoutMs)}`] : []),
    ...(reaping === "none" ? [] : [`reaping: ${reaping}`]),
    ...(hasControlGroups ? ["control groups"] : []),
  ];
  return [
    ...findings.map(({ law, text }) => `${law} is broken: ${text}`),
    "",
    `In ${scenario.zone}, ${limits.join(", ")}:`,
    ...homes.flatMap(({ name, parallelMax, jobs }) => [
      `  home ${name}, ${parallelMax} at once`,
      ...jobs.map((job) => `    ${tellJob(job)}`),
    ]),
    "",
    ...history,
  ].join("\n");
}

function tellJob(job: PlannedJob): string {
  const { id, schedule, repeatTimes, isPrompt, detach, programs } = job;
  const kind = isPrompt === true ? "prompt job" : "job";
  const times = repeatTimes === null ? "" : `, ${repeatTimes} times`;
  return `${kind} ${id}: ${tellSchedule(schedule)}${times}${detach === true ? ", detach" : ""}; ${programs.map(tellProgram).join(", then ")}`;
}

function tellSchedule(schedule: PlannedSchedule): string {
  switch (schedule.kind) {
    case "cron":
      return schedule.expression;
    case "interval":
      return `every ${schedule.minutes} min`;
    case "once":
      return `once after ${seconds(schedule.inMs)}`;
  }
}

function tellProgram({ durationMs, end, onTerm, helper }: FakeProgram): string {
  const how = "code" in end ? `exits ${end.code}` : `dies of ${end.signal}`;
  const stays = helper === null ? "" : `, leaves a helper for ${seconds(helper.durationMs)}`;
  return `runs ${seconds(durationMs)}, ${how}, on SIGTERM ${onTerm}${stays}`;
}

function seconds(ms: number): string {
  return `${Math.round(ms) / 1000} s`;
}
