import { execFileSync } from "node:child_process";
import { closeSync, fsyncSync, openSync, readFileSync, unlinkSync, writeSync } from "node:fs";
import { cpus, loadavg, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { percentile } from "./statistics.ts";

/** What has to be known of a machine before its numbers mean anything. Measured in `folder`, where the bench puts its homes. */
export function describeMachine(repository: string, folder: string): readonly string[] {
  const processors = cpus();
  const gibibytes = Math.round(totalmem() / 1024 ** 3);
  return [
    `${processors.length} × ${processors[0]?.model ?? "unknown processor"}, ${gibibytes} GiB, ${type()} ${release()}, Node ${process.version}`,
    `load ${loadavg()
      .map((load) => load.toFixed(2))
      .join(" ")} at the start; write and fsync of 4 KiB: p50 ${syncMs(folder).toFixed(2)} ms`,
    `${new Date().toISOString()}, ${commitOf(repository)}`,
  ];
}

function syncMs(folder: string): number {
  const path = join(folder, "sync");
  const descriptor = openSync(path, "w");
  const page = Buffer.alloc(4096);
  const samples = Array.from({ length: 50 }, () => {
    const beganMs = performance.now();
    writeSync(descriptor, page, 0, page.length, 0);
    fsyncSync(descriptor);
    return performance.now() - beganMs;
  });
  closeSync(descriptor);
  unlinkSync(path);
  return percentile(samples, 0.5);
}

function commitOf(repository: string): string {
  const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as { version: string };
  try {
    const git = (...args: readonly string[]): string =>
      execFileSync("git", args, { cwd: repository, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    const changed =
      git("status", "--porcelain", "--untracked-files=no", "--", "src", "worker") === "" ? "" : " with changes";
    return `version ${version}, commit ${git("rev-parse", "--short", "HEAD")}${changed}`;
  } catch {
    // A package has no history.
    return `version ${version}`;
  }
}
