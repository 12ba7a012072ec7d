import { formatNumber } from "../bench/table.ts";
import { playGatewayKill } from "./gateway-kill.ts";
import type { SceneReport } from "./scene.ts";
import type { SoakHome } from "./soak-home.ts";

/** The scene with the times at which real Hermes was measured. */
export async function playGatewayKillScene(home: SoakHome): Promise<SceneReport> {
  const { decidedMs, nextLatenessMs, findings } = await playGatewayKill(home, home.evidence, {
    expression: "* * * * *",
    periodMs: 60_000,
    scriptSeconds: 100,
    killAfterMs: 15_000,
    pauseMs: 3000,
  });
  return {
    findings: findings.map((text) => ({ fault: "other", text })),
    rows: [
      ["all three recorded after the new daemon's first line", `${formatNumber(decidedMs)} ms`],
      ["the next minute's run, late by", `${formatNumber(nextLatenessMs)} ms`],
      ["findings", String(findings.length)],
    ],
  };
}
