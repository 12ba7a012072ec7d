import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A run that is none of the supervisor's has no id: this and its process' take its place. */
const otherRun = "elsewhere";

/** What a job wrote down about itself, beside and unknown to the supervisor. */
export type Mark = {
  readonly atMs: number;
  readonly runId: string;
} & (
  | { readonly what: "start"; readonly slotMs: number | null }
  /** Written last: the exit code or the signal that the job is going to end with. */
  | { readonly what: "end"; readonly code: number | string }
  /** Another process of this job still held the job's lock. */
  | { readonly what: "overlap" }
);

/** Whether a gateway started what wrote this down. */
export function isElsewhere({ runId }: Mark): boolean {
  return runId.startsWith(otherRun);
}

export function evidenceFolder(root: string, home: string, jobId: string): string {
  return join(root, home, jobId);
}

/**
 * A script whose body may call `finish CODE`. Every process that it leaves behind inherits the job's lock, so that a later run
 * beside any of them is written down. Each line is one write of a file opened for appending: a kill leaves it whole or absent.
 */
export function evidenceScript(folder: string, body: string): string {
  mkdirSync(folder, { recursive: true });
  return `evidence='${folder}'
run="\${HERMES_SUPERVISOR_RUN_ID:-${otherRun}-$$}"
note() { printf '%s %s %s\\n' "$EPOCHREALTIME" "$run" "$*" >>"$evidence/log"; }
finish() { note end "$1"; exit "$1"; }
exec 9>>"$evidence/lock"
flock -n 9 || note overlap
note start "\${HERMES_SUPERVISOR_SCHEDULED_AT:--}"
${body}
`;
}

export function readMarks(folder: string): readonly Mark[] {
  const path = join(folder, "log");
  return existsSync(path) ? parseMarks(readFileSync(path, "utf8")) : [];
}

export function parseMarks(text: string): readonly Mark[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): Mark => {
      const [at = "", runId = "", what = "", detail = ""] = line.split(" ");
      const mark = { atMs: Number(at) * 1000, runId };
      switch (what) {
        case "start":
          return { ...mark, what, slotMs: detail === "-" ? null : Date.parse(detail) };
        case "end":
          return { ...mark, what, code: /^\d+$/.test(detail) ? Number(detail) : detail };
        case "overlap":
          return { ...mark, what };
        default:
          throw new SyntaxError(
            `Cannot read evidence ${JSON.stringify(line)}: its third word is neither start, end nor overlap`,
          );
      }
    });
}
