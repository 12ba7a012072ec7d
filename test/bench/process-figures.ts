import { readdirSync, readFileSync } from "node:fs";

/** What the kernel counts of one process, its threads together. Linux only. */
export interface ProcessFigures {
  readonly rssBytes: number;
  /** As RSS, with each shared page divided among those who share it. */
  readonly pssBytes: number;
  /** What is its own and no file's: heap, stacks, and nothing of the Node program that other processes share. */
  readonly anonymousBytes: number;
  readonly cpuMs: number;
  /** How often one of its threads went to sleep and was woken. */
  readonly wakeUps: number;
}

export function readProcessFigures(pid: number): ProcessFigures {
  const memory = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  let cpuNs = 0;
  let wakeUps = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}`;
    // Nanoseconds on a processor; the figures in `stat` are in steps of 10 ms.
    cpuNs += Number(readFileSync(`${folder}/schedstat`, "utf8").split(" ")[0]);
    wakeUps += field(readFileSync(`${folder}/status`, "utf8"), "voluntary_ctxt_switches");
  }
  return {
    rssBytes: field(memory, "Rss") * 1024,
    pssBytes: field(memory, "Pss") * 1024,
    anonymousBytes: field(memory, "Anonymous") * 1024,
    cpuMs: cpuNs / 1e6,
    wakeUps,
  };
}

function field(text: string, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text);
  if (found === null) throw new Error(`Cannot read "${name}": the kernel does not list it`);
  return Number(found[1]);
}
