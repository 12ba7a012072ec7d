/** Why no attempt follows a failed run, or why one that was to follow does not come. */
export type RetryEnd =
  /** There were as many as the policy allows. */
  | "used_up"
  /** The job's next slot comes first. */
  | "next_slot"
  /** Hermes itself tries the job again. */
  | "hermes_retries"
  | "paused"
  | "completed"
  | "edited"
  | "job_gone"
  | "home_gone"
  /** Somebody ran the job meanwhile. */
  | "ran_since"
  /** The record was somebody else's when the failure was to be written into it. */
  | "superseded"
  /** The job's policy is another by now. */
  | "policy";

/** What stands beside a run that failed, for people. */
export interface RunRetry {
  readonly state: "waiting" | "started" | "given_up";
  readonly attempt: number;
  readonly dueAtMs: number | null;
  readonly reason: RetryEnd | null;
  /** The attempt that followed. */
  readonly runId: string | null;
}

const retryEndTexts: Readonly<Record<RetryEnd, string>> = {
  used_up: "no attempt is left",
  next_slot: "not tried again: the next slot comes first",
  hermes_retries: "Hermes tries it again",
  paused: "not tried again: the job was paused",
  completed: "not tried again: the job is completed",
  edited: "not tried again: the job was edited",
  job_gone: "not tried again: the job is gone",
  home_gone: "not tried again: the home is gone",
  ran_since: "not tried again: the job has run since",
  superseded: "not tried again: the record is another run's",
  policy: "not tried again: the settings changed",
};

/** What comes after a failed run, as a clause; empty where nothing is to be said. */
export function retryText(retry: RunRetry | undefined, clock: (ms: number) => string): string {
  if (retry === undefined) return "";
  if (retry.reason !== null) return retryEndTexts[retry.reason];
  if (retry.state === "started") return `tried again as ${retry.runId}`;
  return retry.dueAtMs === null ? "" : `attempt ${retry.attempt} at ${clock(retry.dueAtMs)}`;
}
