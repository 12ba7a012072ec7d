import type { ReadyGate } from "../child/gate-pool.ts";
import { gateKinds } from "../core/admission.ts";
import type { HomeRuntime } from "./home-runtime.ts";

/** Launchers of all kinds that wait in this home. */
export function readyGates(home: HomeRuntime): readonly ReadyGate[] {
  return gateKinds.flatMap((kind) => home.pools[kind].ready());
}

export function discardGates(home: HomeRuntime): void {
  for (const kind of gateKinds) home.pools[kind].discardAll();
}
