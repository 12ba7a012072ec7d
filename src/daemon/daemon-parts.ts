import type { AskHermes } from "../child/ask-hermes.ts";
import type { ChildTable } from "../child/child-table.ts";
import type { Settings } from "../config/effective-settings.ts";
import type { Counted } from "../core/room.ts";
import type { RunLedger } from "../ledger/run-ledger.ts";
import type { System } from "../system/system.ts";
import type { ClockSteps } from "./clock-steps.ts";

/** Host-wide settings in force. */
export interface HostSettings extends Pick<Settings, "groupLimits" | "order" | "waitMaxMs" | "pressureMax"> {
  readonly openRunsMax: number;
  /** For runs of homes that are gone; each home has its own. */
  readonly orphans: "fail" | "adopt";
  readonly onSigterm: "hand_over" | "drain" | "stop";
  readonly onHomeRemoved: "stop" | "finish";
  readonly retention: Settings["retention"];
}

export function hostSettingsOf(inForce: Settings): HostSettings {
  const { groupLimits, order, waitMaxMs, pressureMax } = inForce;
  return {
    openRunsMax: inForce.maxOpenRuns,
    groupLimits,
    order,
    waitMaxMs,
    pressureMax,
    onSigterm: inForce.onSigterm,
    onHomeRemoved: inForce.onHomeRemoved,
    orphans: inForce.orphans,
    retention: inForce.retention,
  };
}

/** Figures that the daemon collects about itself. */
export interface Measure {
  lockHeldMs(home: string, ms: number): void;
  /** For how long somebody else held the tick lock when we wanted it. */
  lockWaitedMs(home: string, ms: number): void;
}

/** What every step of the daemon is handed. */
export interface DaemonParts {
  readonly system: System;
  readonly ledger: RunLedger;
  readonly children: ChildTable;
  readonly stateFolder: string;
  /** `hermes_worker.py`. */
  readonly workerPath: string;
  readonly askHermes: AskHermes;
  readonly measure: Measure;
  settings: HostSettings;
  /** Runs that are claimed and whose gates are about to be opened: the table of children does not have them yet. */
  unopened: readonly Counted[];
  readonly clockSteps: ClockSteps;
  /** Claims nothing more; set once, when the daemon is to end. */
  draining: boolean;
  /** Ends the daemon at a named point when a test asks for it; does nothing otherwise. */
  readonly fault: (point: string) => void;
}
