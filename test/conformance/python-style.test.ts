import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { venvPython } from "./venv.ts";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const files = readdirSync(`${repository}worker`).filter((name) => name.endsWith(".py"));

/** What a tool of the Python side says, or nothing when it has no complaint. */
async function complaints(tool: string, ...args: readonly string[]): Promise<string> {
  const python = await venvPython("python-style", "ruff==0.17.6", "mypy==2.4.1");
  try {
    execFileSync(join(dirname(python), tool), [...args, ...files.map((name) => `worker/${name}`)], {
      cwd: repository,
      stdio: ["ignore", "pipe", "pipe"],
    });
    return "";
  } catch (error) {
    if (error instanceof Error && "stdout" in error) return `${String(error.stdout)}${error.message}`;
    throw error;
  }
}

test("the worker and the plugin are as ruff wants them", async () => {
  expect(files).toContain("hermes_worker.py");
  expect(await complaints("ruff", "check", "--no-cache")).toBe("");
  expect(await complaints("ruff", "format", "--check", "--no-cache")).toBe("");
});

test("the worker and the plugin hold the types that mypy --strict wants", async () => {
  const cache = mkdtempSync(`${tmpdir()}/mypy-`);
  try {
    expect(await complaints("mypy", "--strict", "--cache-dir", cache)).toBe("");
  } finally {
    rmSync(cache, { recursive: true });
  }
});
