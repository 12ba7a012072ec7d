import { type JobRecord, scriptJob } from "../helpers/supervised-home.ts";

export type SoakRule =
  /** Every so many seconds of the clock; a divisor of 60, or 60. */
  | { readonly kind: "cron"; readonly everySeconds: number }
  | { readonly kind: "interval"; readonly minutes: number }
  | { readonly kind: "once" };

export interface SoakJob {
  readonly home: string;
  readonly id: string;
  readonly rule: SoakRule;
  readonly firstMs: number;
  readonly body: string;
}

export const soakHomes = ["default", "work"] as const;

/** How the jobs misbehave. Helpers sleep for an hour, so that whatever is not ended for them is still there to be found. */
const bodies = {
  quick: "finish 0",
  prints: 'for i in {1..400}; do echo "line $i of $HERMES_SUPERVISOR_RUN_ID"; done; echo aside >&2; finish 0',
  fails: "echo no >&2; finish 3",
  failsLikeASignal: "finish 137",
  killsItself: "note end SIGKILL; kill -KILL $$",
  short: "sleep 0.$((RANDOM % 8)); finish 0",
  outlastsItsSecond: "sleep 2.$((RANDOM % 10)); finish 0",
  outlastsItsPeriod: "sleep 7; finish 5",
  ignoresSigterm: "trap '' TERM; sleep 1 & wait; sleep 1 & wait; sleep 1 & wait; finish 0",
  leavesAHelper: "sleep 3600 & sleep 0.2; finish 0",
  leavesADaemon: "(setsid sleep 3600 &) ; sleep 0.$((RANDOM % 5)); finish 4",
  leavesWithoutLifeline: "(setsid bash -c 'exec 4>&-; exec sleep 3600' &) ; sleep 0.3; finish 0",
  leavesWithoutEnvironment: "(setsid env -i sleep 3600 &) ; sleep 0.1; finish 0",
  twentySeconds: "sleep 20; finish 0",
} as const;

const crons: readonly (readonly [number, keyof typeof bodies])[] = [
  [1, "quick"],
  [2, "quick"],
  [2, "prints"],
  [2, "fails"],
  [3, "failsLikeASignal"],
  [3, "killsItself"],
  [1, "short"],
  [1, "outlastsItsSecond"],
  [5, "outlastsItsPeriod"],
  [4, "ignoresSigterm"],
  [3, "leavesAHelper"],
  [4, "leavesADaemon"],
  [5, "leavesWithoutLifeline"],
  [5, "leavesWithoutEnvironment"],
];
const intervals: readonly (keyof typeof bodies)[] = ["quick", "fails", "twentySeconds"];
const onceBodies = [bodies.quick, bodies.outlastsItsSecond, bodies.fails, bodies.leavesADaemon] as const;
const oncePerHome = 3;

/** 40 jobs over two homes: 28 by seconds, 6 each minute, 6 once. More one-shots come as time goes on. */
export function makeSoakJobs(fromMs: number, random: () => number): readonly SoakJob[] {
  const firstSecondMs = Math.ceil(fromMs / 1000) * 1000;
  return soakHomes.flatMap((home, turn) => {
    const id = (index: number): string => `${turn}${index.toString(16).padStart(11, "0")}`;
    return [
      ...crons.map(([everySeconds, body], index): SoakJob => {
        const periodMs = everySeconds * 1000;
        const firstMs = Math.ceil(firstSecondMs / periodMs) * periodMs;
        return { home, id: id(index), rule: { kind: "cron", everySeconds }, firstMs, body: bodies[body] };
      }),
      ...intervals.map((body, index): SoakJob => {
        const firstMs = firstSecondMs + Math.floor(random() * 30_000);
        return { home, id: id(100 + index), rule: { kind: "interval", minutes: 1 }, firstMs, body: bodies[body] };
      }),
      ...Array.from({ length: oncePerHome }, (_, index) =>
        makeOneShot(home, id(200 + index), firstSecondMs + Math.floor(random() * 40_000), index),
      ),
    ];
  });
}

export function makeOneShot(home: string, id: string, atMs: number, index: number): SoakJob {
  return {
    home,
    id,
    rule: { kind: "once" },
    firstMs: atMs,
    body: onceBodies[index % onceBodies.length] ?? bodies.quick,
  };
}

/** The instants that the rule names, counted with nothing of the supervisor's. */
export function instantsOf({ rule, firstMs }: SoakJob, untilMs: number): readonly number[] {
  if (rule.kind === "once") return firstMs <= untilMs ? [firstMs] : [];
  const stepMs = rule.kind === "cron" ? rule.everySeconds * 1000 : rule.minutes * 60_000;
  const count = Math.max(0, Math.floor((untilMs - firstMs) / stepMs) + 1);
  return Array.from({ length: count }, (_, index) => firstMs + index * stepMs);
}

export function recordOf(job: SoakJob): JobRecord {
  const at = new Date(job.firstMs).toISOString().replace("Z", "000+00:00");
  const script = `${job.id}.sh`;
  switch (job.rule.kind) {
    case "cron": {
      const { everySeconds } = job.rule;
      // Hermes' sixth field is the second.
      const second = everySeconds === 1 ? "*" : `*/${everySeconds}`;
      const expression = everySeconds === 60 ? "* * * * *" : `* * * * * ${second}`;
      return scriptJob(job.id, expression, script, { next_run_at: at });
    }
    case "interval":
      return scriptJob(job.id, job.rule.minutes, script, { next_run_at: at });
    case "once":
      return scriptJob(job.id, 1, script, {
        schedule: { kind: "once", run_at: at, display: `once at ${at}` },
        schedule_display: `once at ${at}`,
        repeat: { times: 1, completed: 0 },
        next_run_at: at,
      });
  }
}
