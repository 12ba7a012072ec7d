import type { Work } from "../core/work.ts";
import type { RunJson } from "./json.ts";
import { printLists } from "./print-lists.ts";
import type { StatusJson } from "./snapshot.ts";

/** The same list is the same text. It is the largest part as a rule, and the same until something is written to the ledger. */
const printed = new WeakMap<readonly RunJson[], Uint8Array>();

/** The JSON document of a status, in parts. */
export function* printStatus(status: StatusJson): Work<readonly Uint8Array[]> {
  const { daemon, config, homes, open_runs, waiting, alerts, ...rest } = status;
  const before = JSON.stringify({ daemon, config }).slice(0, -1);
  const after = JSON.stringify(rest).slice(1);
  const parts = [...(yield* printLists({ homes }, `${before},`, ',"open_runs":')), printRuns(open_runs)];
  return [...parts, ...(yield* printLists({ waiting, alerts }, ",", `,${after}\n`))];
}

function printRuns(runs: readonly RunJson[]): Uint8Array {
  const known = printed.get(runs);
  if (known !== undefined) return known;
  const made = Buffer.from(JSON.stringify(runs));
  printed.set(runs, made);
  return made;
}
