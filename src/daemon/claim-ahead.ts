import type { TickPlan } from "../core/plan-tick.ts";
import type { Clock } from "../system/clock.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { programOf } from "./job-program.ts";
import { type Look, lookAt, type StagedClaims, stageClaims } from "./stage-claims.ts";

/** The system wakes whoever waits a little early or late, and the wall clock is a little off the other. */
const slackMs = 1;
/** A little more than claims are ever written ahead of their instant. */
const waitMsMax = 20;

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

/** The home that wakes next, the instant of that, and from when on its claims may be written (Unix ms): at that instant where not before. */
export interface NextWake {
  readonly home: HomeRuntime;
  readonly dueMs: number;
  readonly fromMs: number;
}

/** Of several that wake together the one whose claims take longest to write. No home waits for the claims of one that wakes later. */
export function nextToWake(homes: Iterable<HomeRuntime>): NextWake | null {
  let next: NextWake | null = null;
  for (const home of homes) {
    const { state, recovering, retryAtMonotonicMs, rehearsed, wakeAtMs: dueMs } = home;
    if (dueMs === null || state.kind === "unsupported" || recovering > 0 || retryAtMonotonicMs !== null) continue;
    const fromMs = state.kind === "active" && rehearsed?.dueMs === dueMs ? rehearsed.stageFromMs : dueMs;
    if (next === null || dueMs < next.dueMs || (dueMs === next.dueMs && fromMs < next.fromMs))
      next = { home, dueMs, fromMs };
  }
  return next;
}

/** Waits until that instant has come by the wall clock. One that is set back makes nobody wait longer than is ever meant. */
export function waitUntil(clock: Clock, dueMs: number): void {
  const untilMonotonicMs = clock.monotonicMs() + Math.min(waitMsMax, dueMs - clock.nowMs() + slackMs);
  for (;;) {
    const leftMs = Math.min(dueMs - clock.nowMs(), untilMonotonicMs - clock.monotonicMs());
    if (leftMs <= 0) return;
    clock.wait(leftMs);
  }
}
