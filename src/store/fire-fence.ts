import { createHash } from "node:crypto";
import { join } from "node:path";
import type { HeldLock } from "../system/lock.ts";
import type { System } from "../system/system.ts";

/** RFC 4122's namespace for URLs, which is the one Hermes names its fences in. */
const urlNamespace = Buffer.from("6ba7b8119dad11d180b400c04fd430c8", "hex");

/** The lock file that fences one job's closing. `cronFolder` is the real path: Hermes resolves links before it names the file. */
export function fireFencePath(cronFolder: string, jobId: string): string {
  const digest = createHash("sha1").update(urlNamespace).update(`${cronFolder}::${jobId}`).digest();
  digest.writeUInt8((digest.readUInt8(6) & 0x0f) | 0x50, 6);
  digest.writeUInt8((digest.readUInt8(8) & 0x3f) | 0x80, 8);
  return join(cronFolder, `.fire-${digest.toString("hex", 0, 16)}.lock`);
}

export interface FireFences {
  /** The jobs whose fence we hold. */
  readonly held: ReadonlySet<string>;
  /** The jobs that somebody else is closing right now. */
  readonly busy: ReadonlySet<string>;
  release(): void;
}

/** Takes the fences of `jobIds` in the order of their names, without waiting for any. */
export function takeFireFences(
  system: Pick<System, "files" | "locks">,
  cronFolder: string,
  jobIds: Iterable<string>,
): FireFences {
  const folder = system.files.realPath(cronFolder);
  const locks: HeldLock[] = [];
  const held = new Set<string>();
  const busy = new Set<string>();
  const release = () => {
    for (const lock of locks.splice(0).reverse()) lock.release();
  };
  const fences = [...new Set(jobIds)].map((jobId) => ({ jobId, path: fireFencePath(folder, jobId) }));
  try {
    for (const { jobId, path } of fences.sort((a, b) => (a.path < b.path ? -1 : 1))) {
      const lock = system.locks.tryLock(path);
      if (lock === null) {
        busy.add(jobId);
      } else {
        held.add(jobId);
        locks.push(lock);
      }
    }
  } catch (error) {
    release();
    throw error;
  }
  return { held, busy, release };
}
