import { drawScenario } from "./draw-scenario.ts";
import type { Scenario } from "./scenario.ts";
import { shrinkScenario } from "./shrink-scenario.ts";
import { type SimulationOptions, simulate } from "./simulate.ts";
import { tellStory } from "./tell-story.ts";

/** Null when the scenario of the seed keeps the laws; else the shortest history that breaks the same one. */
export async function trySeed(seed: number, options: SimulationOptions = {}): Promise<string | null> {
  const scenario = drawScenario(seed);
  const { findings } = await simulate(scenario, options);
  if (findings.length === 0) return null;
  return `Seed ${seed} breaks a law; npm run simulate -- --seed ${seed}\n${await shortestStory(scenario, options)}`;
}

/** The story of the smallest scenario that breaks the same law as this one. */
export async function shortestStory(scenario: Scenario, options: SimulationOptions = {}): Promise<string> {
  const whole = await simulate(scenario, options);
  const law = whole.findings[0]?.law;
  const smallest = await shrinkScenario(scenario, async (smaller) => {
    const { findings } = await simulate(smaller, options);
    return findings.some((finding) => finding.law === law);
  });
  const { findings, history } = await simulate(smallest, { ...options, trace: "happenings" });
  return tellStory(smallest, findings, history);
}
