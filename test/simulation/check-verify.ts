import type { CommandParts } from "../../src/cli/command-parts.ts";
import { gatherEvidence } from "../../src/cli/gather-evidence.ts";
import { createReader, type Reader } from "../../src/cli/reader.ts";
import { verifyLaws } from "../../src/core/verify-laws.ts";
import type { DaemonLife } from "./daemon-life.ts";
import { rootHome, stateFolder, type World } from "./simulate.ts";

/** `verify` looks again for so long before it calls anything a violation. */
const onTheWayMs = 3000;

/** What `verify` tells a person of this host: of a history that keeps the laws, nothing. */
export function checkVerify({ ledger, host, clock, report }: World, { life }: DaemonLife): void {
  const parts = { system: life.system, environment: { PATH: "/usr/bin", HOME: "/root" }, rootHome, stateFolder };
  const command = parts as unknown as CommandParts;
  const reader: Reader = {
    ...createReader(command),
    ledger: () => ledger,
    daemon: () => ({ running: true }) as ReturnType<Reader["daemon"]>,
  };
  for (const { law, violations } of verifyLaws(gatherEvidence(command, reader))) {
    for (const { message, runId, jobId } of violations) {
      const real = runId === null ? undefined : host.runs.get(runId);
      const lastMs = Math.max(
        real?.startedAtMs ?? 0,
        real?.endedAtMs ?? 0,
        real?.emptiedAtMs ?? 0,
        real?.gateClosedAtMs ?? 0,
      );
      if (lastMs < clock.monotonicMs() - onTheWayMs) report(`verify ${law}`, `${jobId}: ${message}`);
    }
  }
}
