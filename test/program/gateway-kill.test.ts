import { join } from "node:path";
import { expect, test } from "vitest";
import { makeSupervisedHome } from "../helpers/supervised-home.ts";
import { playGatewayKill } from "../soak/gateway-kill.ts";

test("kill -9 under three long scripts: each is recorded as orphaned, none starts beside itself, the next instant runs on time", async () => {
  const home = makeSupervisedHome();
  const report = await playGatewayKill(home, join(home.state, "../evidence"), {
    expression: "* * * * * */6",
    periodMs: 6000,
    scriptSeconds: 100,
    killAfterMs: 300,
    pauseMs: 200,
  });
  expect(report.findings).toEqual([]);
});
