import type { TickPlan } from "../core/plan-tick.ts";
import type { Clock } from "../system/clock.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { programOf } from "./job-program.ts";
import { type Look, lookAt, type StagedClaims, stageClaims } from "./stage-claims.ts";

/** The system wakes whoever waits a little early or late, and the wall clock is a little off the other. */
const slackMs = 1;

/** The claims of an instant, written before it, and in no force yet. */
export interface AheadClaims {
  readonly home: HomeRuntime;
  readonly look: Look;
  readonly staged: StagedClaims;
}

/**
 * Writes the claims of the instant at which a home wakes next, a little before it. What is left for the instant itself is to
 * see under the locks that nothing has changed, and to put them in force: that is what fifty jobs wait for. Null where the
 * instant brings more than claims, which is decided when it has come.
 */
export function stageAhead(parts: DaemonParts, home: HomeRuntime, dueMs: number): AheadClaims | null {
  if (home.waitsFor.size > 0) return null;
  parts.fault("before-look");
  const look = lookAt(parts, home, home.store.read(), dueMs);
  if (!isClaimsOnly(look.plan)) return null;
  parts.fault("after-look");
  parts.fault("before-gates");
  parts.fault("after-gates");
  const staged = stageClaims(parts, home, look, (job) => (job.kind === "script" ? programOf(parts, home, job) : null));
  return staged === null ? null : { home, look, staged };
}

function isClaimsOnly(plan: TickPlan): boolean {
  const { claims, slots, stops, retryEnds, waiting, gatesMissing } = plan;
  return (
    claims.length > 0 &&
    slots.every(({ decision }) => decision === "run") &&
    stops.length + retryEnds.length + waiting + gatesMissing.prompt + gatesMissing.script === 0
  );
}

/** When the claims of the instant at which this home wakes may be written (Unix ms), or null where that is not before it. */
export function stageFromMs(home: HomeRuntime): number | null {
  const { state, recovering, retryAtMonotonicMs, rehearsed, wakeAtMs } = home;
  if (state.kind !== "active" || recovering > 0 || retryAtMonotonicMs !== null) return null;
  return rehearsed !== null && rehearsed.dueMs === wakeAtMs ? rehearsed.stageFromMs : null;
}

/** The home whose claims are to be written now, because it is the next that wakes, and the instant of that. */
export function homeToStage(
  homes: readonly HomeRuntime[],
  nowMs: number,
): { readonly home: HomeRuntime; readonly dueMs: number } | null {
  const near = homes.flatMap((home) => {
    const fromMs = stageFromMs(home);
    return fromMs === null || fromMs > nowMs || home.wakeAtMs === null ? [] : [{ home, dueMs: home.wakeAtMs }];
  });
  return near.sort((a, b) => a.dueMs - b.dueMs)[0] ?? null;
}

/** Waits until that instant has come by the wall clock. One that is set back meanwhile makes nobody wait longer than was meant. */
export function waitUntil(clock: Clock, dueMs: number): void {
  const untilMonotonicMs = clock.monotonicMs() + dueMs - clock.nowMs() + slackMs;
  for (;;) {
    const leftMs = Math.min(dueMs - clock.nowMs(), untilMonotonicMs - clock.monotonicMs());
    if (leftMs <= 0) return;
    clock.wait(leftMs);
  }
}
