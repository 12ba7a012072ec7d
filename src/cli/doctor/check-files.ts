import { formatSize } from "../../config/quantity.ts";
import { findOnPath } from "../../homes/find-on-path.ts";
import type { FileStat } from "../../system/files.ts";
import { shellWord } from "../services/service-place.ts";
import { type Finding, fault, fine, type Patient, warning } from "./finding.ts";

/** Files that hold secrets or that decide what runs, and who may read or write them. */
export function checkModes({ parts, host, homes }: Patient): readonly Finding[] {
  const { files } = parts.system;
  const { stateFolder } = parts;
  const findings: Finding[] = [];
  const stat = (path: string): FileStat | null => {
    try {
      return files.stat(path);
    } catch {
      return null;
    }
  };
  const look = (path: string, mode: string, isSecret: boolean, home: string | null): void => {
    const found = stat(path);
    if (found === null) return;
    const bits = found.mode & 0o777;
    const isOthers = found.uid !== host.user.uid && host.user.uid !== 0;
    if (isOthers) {
      const remedy = `sudo chown ${host.user.name} ${shellWord(path)}`;
      findings.push(
        fault("modes", `${path} belongs to user ${found.uid}, and this is ${host.user.name}`, remedy, home),
      );
    }
    const said = `${path} has mode ${bits.toString(8)}`;
    const remedy = `chmod ${mode} ${shellWord(path)}`;
    if ((bits & 0o002) !== 0) {
      findings.push(fault("modes", `${said}: everybody may write it, and so run programs as you`, remedy, home));
    } else if ((bits & 0o020) !== 0) {
      findings.push(warning("modes", `${said}: its group may write it, and so run programs as you`, remedy, home));
    } else if (isSecret && (bits & 0o044) !== 0) {
      findings.push(warning("modes", `${said}: others may read it`, remedy, home));
    }
  };
  look(stateFolder, "700", true, null);
  for (const name of ["config.yaml", "supervisor.db", "control.sock"])
    look(`${stateFolder}/${name}`, "600", true, null);
  for (const { path, name } of homes) {
    look(`${path}/.env`, "600", true, name);
    look(`${path}/config.yaml`, "600", false, name);
    look(`${path}/cron`, "700", false, name);
    look(`${path}/cron/jobs.json`, "600", true, name);
    look(`${path}/scripts`, "700", false, name);
    const owner = stat(path)?.uid;
    if (host.user.uid === 0 && owner !== undefined && owner !== 0) {
      const message = `It belongs to user ${owner}, and this is root: a daemon that root starts runs its jobs as root`;
      findings.push(warning("modes", message, "start the daemon as the owner of the home", name));
    }
  }
  return findings.length > 0 ? findings : [fine("modes", "Nobody else may write or read what should be private")];
}

const networked = new Set(["nfs", "cifs", "smb", "smb2", "9p", "ceph"]);

export function checkFileSystems({ parts, host, homes }: Patient): readonly Finding[] {
  const { files } = parts.system;
  const nearest = (path: string): string => {
    let at = path;
    while (at !== "/" && files.stat(at) === null) at = at.slice(0, at.lastIndexOf("/")) || "/";
    return at;
  };
  const kindOf = (path: string): string | null => host.fileSystem(nearest(path));
  const passing = (kind: string, what: string, home: string | null): Finding | null => {
    if (kind === "tmpfs" || kind === "ramfs") {
      return warning(
        "file_system",
        `${what} is in memory (${kind}) and gone after a restart`,
        "put it on a disk",
        home,
      );
    }
    if (kind !== "overlay") return null;
    return warning(
      "file_system",
      `${what} is in a container's own layer (overlay) and gone with it`,
      "mount a volume there",
      home,
    );
  };
  const ofState = ((): Finding => {
    const kind = kindOf(parts.stateFolder);
    if (kind === null) return fine("file_system", "The state folder is on a file system of unknown kind");
    if (networked.has(kind)) {
      const message = `The state folder is on ${kind}, where SQLite's log and its locks do not hold`;
      return fault("file_system", message, "hermes-supervisor --state DIR start, with a folder on a local disk");
    }
    return passing(kind, "The state folder", null) ?? fine("file_system", `The state folder is on ${kind}`);
  })();
  const ofHomes = homes.map(({ path, name }): Finding => {
    const kind = kindOf(`${path}/cron`);
    if (kind === null) return fine("file_system", "The home is on a file system of unknown kind", name);
    if (networked.has(kind)) {
      const message = `The home is on ${kind}: flock holds there only as far as its server keeps it, and changes are not reported`;
      return warning(
        "file_system",
        message,
        "run one daemon and one gateway on one host, or move the home to a local disk",
        name,
      );
    }
    return passing(kind, "The home", name) ?? fine("file_system", `The home is on ${kind}`, name);
  });
  return [ofState, ...ofHomes];
}

function formatBytes(bytes: number): string {
  const mebibytes = bytes / 1024 ** 2;
  return mebibytes < 1024 ? `${Math.floor(mebibytes)} MiB` : `${(mebibytes / 1024).toFixed(1)} GiB`;
}

export function checkDisk({ parts, homes }: Patient): readonly Finding[] {
  const { files } = parts.system;
  const freeMin = homes[0]?.settings.freeBytesMin ?? 0;
  const places = [
    { path: parts.stateFolder, name: null },
    ...homes.map(({ path, name }) => ({ path: `${path}/cron`, name })),
  ];
  const seen = new Set<string>();
  return places.flatMap(({ path, name }): readonly Finding[] => {
    const stat = files.stat(path);
    if (stat === null || seen.has(String(stat.device))) return [];
    seen.add(String(stat.device));
    const freeBytes = files.freeBytes(path);
    const message = `${formatBytes(freeBytes)} are free on the disk of ${path}`;
    const least = `${formatSize(freeMin)} (disk.free_min)`;
    if (freeBytes < freeMin)
      return [fault("disk", `${message}, less than ${least}: nothing starts`, "make room", name)];
    if (freeBytes < 4 * freeMin)
      return [warning("disk", `${message}, and below ${least} nothing starts`, "make room", name)];
    return [fine("disk", message, name)];
  });
}

const lockTimeoutMs = 20_000;
const lookEveryMs = 10;
const python = `
import fcntl, os, sys, time
how, path = sys.argv[1], sys.argv[2]
lock = open(path, "a")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(3)
if how == "hold":
    open(path + ".held", "w").close()
    end = time.monotonic() + 10
    while os.path.exists(path + ".held") and time.monotonic() < end:
        time.sleep(0.01)
`;

/** Whether our lock and Python's exclude each other, tried on each disk in both directions with a file made for it. */
export async function checkLocks(patient: Patient): Promise<readonly Finding[]> {
  const { parts, homes } = patient;
  const { files } = parts.system;
  const python3 = findOnPath(parts.system, parts.environment["PATH"] ?? "", "python3");
  if (python3 === null) return [fine("lock", "Not tried against Python: there is no python3 on PATH")];
  const folders = [parts.stateFolder, ...homes.map(({ path }) => path)];
  const seen = new Set<string>();
  const findings: Finding[] = [];
  for (const folder of folders) {
    const stat = files.stat(folder);
    if (stat === null || seen.has(String(stat.device))) continue;
    seen.add(String(stat.device));
    findings.push(await tryLock(patient, python3, folder));
  }
  return findings;
}

async function tryLock({ parts, host }: Patient, python3: string, folder: string): Promise<Finding> {
  const { files, locks, random, clock } = parts.system;
  const path = `${folder}/.doctor-${random.token(8)}`;
  const held = `${path}.held`;
  const remedy = "put the home and the state folder on a local disk, where flock(2) holds";
  try {
    const own = locks.tryLock(path);
    const refused = await host.run(python3, ["-c", python, "try", path], lockTimeoutMs);
    own?.release();
    if (own === null || refused === null || (refused.exitCode !== 3 && refused.exitCode !== 0)) {
      return warning(
        "lock",
        `${python3} could not try a lock in ${folder}: ${refused?.output.split("\n").at(-1) ?? "it did not start"}`,
        "look after this Python",
      );
    }
    if (refused.exitCode === 0) return fault("lock", `Python took a lock in ${folder} that this program held`, remedy);
    const holding = host.run(python3, ["-c", python, "hold", path], lockTimeoutMs);
    let ended = false;
    void holding.then(() => {
      ended = true;
    });
    while (!ended && files.stat(held) === null) {
      await new Promise<void>((resolve) => clock.after(lookEveryMs, resolve));
    }
    const taken = files.stat(held) === null ? null : locks.tryLock(path);
    taken?.release();
    if (files.stat(held) !== null) files.remove(held);
    const { exitCode } = (await holding) ?? { exitCode: null };
    if (taken !== null) return fault("lock", `This program took a lock in ${folder} that Python held`, remedy);
    if (exitCode !== 0)
      return warning("lock", `${python3} could not hold a lock in ${folder}`, "look after this Python");
    return fine("lock", `Locks in ${folder} exclude Python's, and Python's exclude ours`);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return fault("lock", `No lock can be taken in ${folder}: ${problem}`, "make the folder writable for this user");
  } finally {
    for (const left of [path, held]) if (files.stat(left) !== null) files.remove(left);
  }
}
