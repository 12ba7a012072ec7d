import type { RunJson } from "./json.ts";
import type { StatusJson } from "./snapshot.ts";

/** The same list is the same text. It is the largest part by far, and the same until something is written to the ledger. */
const printed = new WeakMap<readonly RunJson[], Uint8Array>();

/** The JSON document of a status, in parts. */
export function printStatus({ daemon, config, homes, open_runs, ...rest }: StatusJson): readonly Uint8Array[] {
  const before = JSON.stringify({ daemon, config, homes }).slice(0, -1);
  const after = JSON.stringify(rest).slice(1);
  return [Buffer.from(`${before},"open_runs":`), printRuns(open_runs), Buffer.from(`,${after}\n`)];
}

function printRuns(runs: readonly RunJson[]): Uint8Array {
  const known = printed.get(runs);
  if (known !== undefined) return known;
  const made = Buffer.from(JSON.stringify(runs));
  printed.set(runs, made);
  return made;
}
