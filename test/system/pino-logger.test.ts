import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

const source = new URL("../../src/system/pino-logger.ts", import.meta.url).href;

test("a line of the log says everything and tells a terminal nothing", () => {
  const name = "\u001b[31mred\u009b2J\u202eevil\u2028\u0007\n日本";
  const program = `import { createLogger } from ${JSON.stringify(source)};
createLogger("info").warn("said of " + ${JSON.stringify(name)}, { name: ${JSON.stringify(name)} });`;
  const { stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], { encoding: "utf8" });
  const { time: _, ...line } = JSON.parse(stderr) as Record<string, unknown>;
  expect(line).toEqual({ level: "warn", name, msg: `said of ${name}` });
  expect(stderr.trimEnd()).toMatch(/^[ -~日本]+$/u);
});
