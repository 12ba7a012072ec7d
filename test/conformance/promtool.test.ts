import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { sampleMetrics } from "../helpers/sample-metrics.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = join(root, ".cache/promtool");

function run(file: string, args: readonly string[], cwd = root, input = ""): { status: number | null; text: string } {
  const { status, stdout, stderr } = spawnSync(file, args, { cwd, input, encoding: "utf8" });
  return { status, text: `${stdout ?? ""}${stderr ?? ""}` };
}

/** The one on PATH, or that of Debian's package, unpacked and not installed: no service begins. */
function findPromtool(): string {
  if (run("promtool", ["--version"]).status === 0) return "promtool";
  const unpacked = join(folder, "usr/bin/promtool");
  if (existsSync(unpacked)) return unpacked;
  mkdirSync(folder, { recursive: true });
  if (run("apt-get", ["download", "prometheus"], folder).status !== 0) {
    run("apt-get", ["update"]);
    const again = run("apt-get", ["download", "prometheus"], folder);
    if (again.status !== 0) throw new Error(`Cannot get promtool: ${again.text}, install Debian's package prometheus`);
  }
  const archive = readdirSync(folder).find((name) => name.endsWith(".deb")) ?? "";
  const done = run("dpkg-deb", ["-x", archive, "."], folder);
  if (done.status !== 0) throw new Error(`Cannot unpack ${archive}: ${done.text}`);
  return unpacked;
}

let promtool = "";
beforeAll(() => {
  promtool = findPromtool();
});

test("promtool has nothing to say about the metrics", async () => {
  const { text } = await sampleMetrics(["default", "team"]).print();
  expect(run(promtool, ["check", "metrics"], root, text)).toEqual({ status: 0, text: "" });
});

test("promtool takes the rules", () => {
  const { status, text } = run(promtool, ["check", "rules", "config/alert-rules.yaml"]);
  expect([status, text]).toEqual([0, expect.stringContaining("SUCCESS: 13 rules found")]);
});
