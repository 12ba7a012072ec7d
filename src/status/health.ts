import type { AlertKind } from "../core/alert-kinds.ts";
import type { Condition } from "../core/alerts.ts";

/** What keeps jobs from running. A job that ran and failed is its owner's concern and no fault of the supervisor. */
const redKinds: ReadonlySet<AlertKind> = new Set(["job_overdue", "home_degraded", "lock_stuck"] as const);

export interface HealthJson {
  readonly ok: boolean;
  readonly reasons: readonly string[];
}

export function healthOf(conditions: readonly Pick<Condition, "kind" | "message">[]): HealthJson {
  const reasons = conditions.filter(({ kind }) => redKinds.has(kind)).map(({ message }) => message);
  return { ok: reasons.length === 0, reasons };
}
