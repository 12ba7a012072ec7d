import { unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Watch } from "../../src/system/watch.ts";

/** Facts that a callback reported, and a wait for each. */
export function createFacts() {
  const facts: { readonly fact: string; readonly atMs: number }[] = [];
  let wake = () => {};
  return {
    add(fact: string): void {
      facts.push({ fact, atMs: performance.now() });
      wake();
    },
    clear(): void {
      facts.length = 0;
    },
    async wait(fact: string): Promise<number> {
      for (;;) {
        const found = facts.find((candidate) => candidate.fact === fact);
        if (found !== undefined) return found.atMs;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    seen: () => facts.map(({ fact }) => fact),
  };
}

let probes = 0;

/** Resolves when the watch of `folder` tells of what is done to it: only then does a missed event mean something. */
export async function hears(watch: Watch, folder: string): Promise<void> {
  // The going of an earlier probe is no answer to this one.
  const name = `.probe-${++probes}`;
  const probe = join(folder, name);
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => writeFileSync(probe, String(performance.now())), 5);
    const watching = watch.folder(folder, (entry) => {
      if (entry !== name) return;
      clearInterval(timer);
      watching.stop();
      resolve();
    });
  });
  unlinkSync(probe);
}
