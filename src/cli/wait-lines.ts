import { shortageText } from "../core/pressure.ts";
import { boundText, fullText } from "../core/room.ts";
import type { HomeJson, StatusJson } from "../status/snapshot.ts";
import type { WaitingJson } from "../status/waiting.ts";
import { clip, printable } from "./print.ts";

/** Of a name in the midst of a sentence. */
const nameColumns = 24;
const namesMax = 8;

/** For each home whose due jobs wait: how many, what for, and who has it. */
export function waitLines(snapshot: StatusJson): readonly string[] {
  const byHome = Map.groupBy(snapshot.waiting, ({ home }) => home);
  return snapshot.homes.flatMap((home) => {
    const groups = [
      ...Map.groupBy(byHome.get(home.name) ?? [], ({ trigger, reason, limit }) =>
        JSON.stringify([trigger, reason, limit]),
      ),
    ];
    return groups.map(([, group]) => {
      const first = group[0] as WaitingJson;
      // The list of jobs has an end, and the home's own count has none.
      const isWhole = groups.length === 1 && first.trigger === "schedule";
      const count = isWhole ? Math.max(group.length, home.waiting) : group.length;
      return `${printable(home.name)}: ${whatWaits(first.trigger, count)}: ${printable(whatFor(first, home, snapshot))}`;
    });
  });
}

function whatWaits(trigger: WaitingJson["trigger"], count: number): string {
  const [one, many] = {
    schedule: ["due job", "due jobs"],
    retry: ["attempt after a failed run", "attempts after failed runs"],
    manual: ["run that was asked for", "runs that were asked for"],
  }[trigger] as [string, string];
  return count === 1 ? `1 ${one} waits` : `${count} ${many} wait`;
}

function whatFor(
  { trigger, reason, limit, pressure, held_by: ids }: WaitingJson,
  home: HomeJson,
  snapshot: StatusJson,
): string {
  const bound = limit === null ? null : { ...limit, name: limit.name ?? "", runsMax: limit.max };
  switch (reason) {
    case "overlap":
      return trigger === "manual"
        ? "a run of the job is still open"
        : "an earlier run of it is still open, and what came meanwhile runs after it (overlap in the settings)";
    case "capacity":
      return bound === null ? "there is no room" : `${fullText(bound)} by ${holderNames(ids, home, snapshot)}`;
    case "kept":
      return bound === null
        ? "a place is kept for a job that waited longer"
        : `what is left for ${boundText(bound)} is kept for a job that waited longer`;
    case "pressure":
      return `${shortageText(pressure ?? [])}, and what is late waits`;
    case "crash_loop":
      return "the job is held back for failing at once again and again";
    case "lock":
      return `${home.tick_lock.holder === null ? "another process" : `process ${home.tick_lock.holder}`} holds the tick lock`;
    case "claimed":
      return "another process has claimed it";
    case "starting":
      return "the next tick takes them";
    case "no_daemon":
      return "no daemon is running";
    default:
      return `the home is ${home.state}`;
  }
}

/** `backup, team/report and 3 more`; a job of another home says whose it is. */
function holderNames(ids: readonly string[], home: HomeJson, { open_runs: runs }: StatusJson): string {
  const holders = runs.filter(({ id }) => ids.includes(id));
  const names = holders
    .slice(0, namesMax)
    .map((run) => `${run.home === home.name ? "" : `${run.home}/`}${clip(run.job_name, nameColumns)}`);
  const more = Math.max(ids.length, holders.length) - names.length;
  return `${names.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
