import type { Finding } from "./judge.ts";

/** What a scene measured, line by line, and what was wrong. */
export interface SceneReport {
  readonly rows: readonly (readonly [string, string])[];
  readonly findings: readonly Finding[];
  /** What this scene could not try, because nobody can promise it. */
  readonly warnings?: readonly string[];
}
