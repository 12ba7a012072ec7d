import type { GroupLimits } from "../core/room.ts";
import type { Settings } from "./effective-settings.ts";

/** What a bound cannot go beyond, whatever it says. */
interface Ceiling {
  readonly runsMax: number;
  /** `limits.max_open_runs of the host (16, default)`. */
  readonly text: string;
}

/** Bounds of the host that are larger than what may be open at all, with what applies. */
export function limitWarnings(host: Settings): readonly string[] {
  return groupWarnings(host.groupLimits, sourcesOf(host), () => [openRunsCeiling(host)]);
}

/** The same for a home, whose bounds count beside those of the host. */
export function homeLimitWarnings(home: Settings, parallelMax: number | null): readonly string[] {
  const sources = sourcesOf(home);
  const ofHome =
    parallelMax === null
      ? []
      : [{ runsMax: parallelMax, text: `cron.max_parallel_jobs of this home (${parallelMax})` }];
  const host = openRunsCeiling(home);
  const parallel =
    parallelMax === null || parallelMax <= host.runsMax
      ? []
      : [`cron.max_parallel_jobs: ${parallelMax} is more than ${host.text}; ${host.runsMax} applies`];
  const groups = groupWarnings(home.groupLimits, sources, (of, name) => {
    const runsMax = membersOf(home.hostGroupLimits, of).get(name);
    const key = `limits.${of}.${name}`;
    const ofHost = runsMax === undefined ? [] : [{ runsMax, text: `${key} of the host (${runsMax})` }];
    return [...ofHome, ...ofHost, host];
  });
  return [...parallel, ...groups];
}

function openRunsCeiling(inForce: Settings): Ceiling {
  const { maxOpenRuns: runsMax } = inForce;
  const source = sourcesOf(inForce).get("limits.max_open_runs") ?? "default";
  return { runsMax, text: `limits.max_open_runs of the host (${runsMax}, ${source})` };
}

function groupWarnings(
  limits: GroupLimits,
  sources: ReadonlyMap<string, string>,
  ceilingsOf: (of: keyof GroupLimits, name: string) => readonly Ceiling[],
): readonly string[] {
  return (["classes", "tags"] as const).flatMap((of) =>
    [...membersOf(limits, of)].flatMap(([name, runsMax]) => {
      const ceilings = ceilingsOf(of, name);
      const least = ceilings.reduce((one, other) => (other.runsMax < one.runsMax ? other : one));
      if (runsMax <= least.runsMax) return [];
      const where = `limits.${of}.${name} (${sources.get(`limits.${of}`) ?? "default"})`;
      return [`${where}: ${runsMax} is more than ${least.text}; ${least.runsMax} applies`];
    }),
  );
}

function membersOf(limits: GroupLimits, of: keyof GroupLimits): ReadonlyMap<string, number> {
  return new Map(Object.entries(limits[of]));
}

function sourcesOf({ shown }: Settings): ReadonlyMap<string, string> {
  return new Map(shown.map(({ key, source }) => [key, source]));
}
