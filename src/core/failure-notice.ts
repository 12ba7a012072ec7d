import { strip } from "./python-text.ts";

const lengthMax = 180;

/**
 * What people are told of a failed run where no Hermes can be asked for its own words: the form of 0.20's
 * `_summarize_cron_failure_for_delivery` for a job that has no model.
 */
export function failureNotice(jobName: string, error: string): string {
  const text = strip(error) === "" ? "unknown error" : strip(error);
  const head = `⚠️ Cron '${jobName}' failed:`;
  if (text.toLowerCase().startsWith("script timed out"))
    return `${head} script timed out. No model was invoked. Full details saved in cron output.`;
  const bare = text.slice(0, 2000).replace(/^(?:RuntimeError|Exception|ValueError|HTTPStatusError):\s*/u, "");
  const line = strip(bare.replace(/\s+/gu, " "));
  return `${head} ${line.length > lengthMax ? `${strip(line.slice(0, lengthMax - 3))}...` : line}`;
}
