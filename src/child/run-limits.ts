/** What bounds one run. It keeps those it was started with, whatever becomes of the configuration meanwhile. */
export interface RunLimits {
  readonly idleTimeoutMs: number | null;
  readonly memoryBytesMax: number | null;
  readonly outputBytesMax: number;
  readonly outputMaxAction: "truncate" | "stop";
  readonly stopGraceMs: number;
  /** What it started may outlive it. */
  readonly detach: boolean;
  /** Whose bounds count it. */
  readonly tags: readonly string[];
}
