import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";

const version = "v0.2.48";
const buildMsMax = 240_000;

export type FoundSupercronic =
  | { readonly ok: true; readonly path: string; readonly version: string }
  | { readonly ok: false; readonly reason: string };

/** supercronic, built once with Go into `cacheFolder`. Where that does not work the bench goes on without it and says so. */
export function findSupercronic(cacheFolder: string): FoundSupercronic {
  const path = join(cacheFolder, `supercronic-${version}`, "supercronic");
  if (existsSync(path)) return { ok: true, path, version };
  mkdirSync(dirname(path), { recursive: true });
  try {
    execFileSync("go", ["install", `github.com/aptible/supercronic@${version}`], {
      env: { ...process.env, GOBIN: dirname(path), GOFLAGS: "-buildvcs=false" },
      stdio: ["ignore", "ignore", "pipe"],
      timeout: buildMsMax,
    });
    return { ok: true, path, version };
  } catch (error) {
    return { ok: false, reason: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ("code" in error && error.code === "ENOENT") return "there is no go on this machine to build it with";
  const printed = "stderr" in error && error.stderr instanceof Buffer ? error.stderr.toString().trim() : "";
  return `go could not build it: ${printed.split("\n").at(-1) || error.message}`;
}
