import { parsePressure } from "../core/pressure.ts";
import type { DaemonParts } from "./daemon-parts.ts";

/** The kernel's figure is an average over ten seconds, so asking more often tells nothing new. */
export const pressureLookMs = 1000;

/** Whether memory or processors are shorter than the settings allow. Without such a setting nothing is read. */
export function createPressureGate(parts: DaemonParts): () => boolean {
  const { system } = parts;
  let lookAtMonotonicMs = Number.NEGATIVE_INFINITY;
  let isPressed = false;
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
    if (pressureMax.memory === null && pressureMax.cpu === null) isPressed = false;
    if ((pressureMax.memory === null && pressureMax.cpu === null) || now - lookAtMonotonicMs < pressureLookMs)
      return isPressed;
    lookAtMonotonicMs = now;
    const over = (["memory", "cpu"] as const).flatMap((what) => {
      const max = pressureMax[what];
      const found = max === null ? null : pressure(what);
      return found !== null && max !== null && found > max ? [`${what} ${found} %, at most ${max}`] : [];
    });
    const isPressedNow = over.length > 0;
    if (isPressedNow !== isPressed) {
      isPressed = isPressedNow;
      if (isPressed)
        system.log.warn("the machine is short; only what is on time starts", { pressure: over.join("; ") });
      else system.log.info("the machine is not short any more; what is late starts again");
    }
    return isPressed;
  };
}
