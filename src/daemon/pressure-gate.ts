import { parsePressure, type Shortage, shortageText } from "../core/pressure.ts";
import type { DaemonParts } from "./daemon-parts.ts";

/** The kernel's figure is an average over ten seconds, so asking more often tells nothing new. */
export const pressureLookMs = 1000;

/** What is shorter than the settings allow. Without such a setting nothing is read. */
export function createPressureGate(parts: DaemonParts): () => readonly Shortage[] {
  const { system } = parts;
  let lookAtMonotonicMs = Number.NEGATIVE_INFINITY;
  let shortages: readonly Shortage[] = [];
  const missing = new Set<string>();

  function pressure(what: "memory" | "cpu"): number | null {
    const path = `/proc/pressure/${what}`;
    let found: number | null = null;
    try {
      found = parsePressure(system.files.readText(path));
    } catch {
      // Not every kernel keeps it, and a container may hide it.
    }
    if (found === null && !missing.has(what)) {
      missing.add(what);
      system.log.warn(`pressure.${what}_max holds nothing back: this system does not tell its pressure`, { path });
    }
    return found;
  }

  return () => {
    const { pressureMax } = parts.settings;
    const now = system.clock.monotonicMs();
    if (pressureMax.memory === null && pressureMax.cpu === null) shortages = [];
    if ((pressureMax.memory === null && pressureMax.cpu === null) || now - lookAtMonotonicMs < pressureLookMs)
      return shortages;
    lookAtMonotonicMs = now;
    const found = (["memory", "cpu"] as const).flatMap((of): Shortage[] => {
      const max = pressureMax[of];
      const percent = max === null ? null : pressure(of);
      return percent !== null && max !== null && percent > max ? [{ of, percent, max }] : [];
    });
    if (found.length > 0 && shortages.length === 0)
      system.log.warn("only what is on time starts", { pressure: shortageText(found) });
    if (found.length === 0 && shortages.length > 0)
      system.log.info("the machine is not short any more; what is late starts again");
    shortages = found;
    return shortages;
  };
}
