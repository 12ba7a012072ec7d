import type { ReadyGate } from "../child/gate-pool.ts";
import { jobKinds } from "../core/job.ts";
import type { HomeRuntime } from "./home-runtime.ts";

/** Launchers of all kinds that wait in this home. */
export function readyGates(home: HomeRuntime): readonly ReadyGate[] {
  return jobKinds.flatMap((kind) => home.pools[kind].ready());
}

export function discardGates(home: HomeRuntime): void {
  for (const kind of jobKinds) home.pools[kind].discardAll();
}
