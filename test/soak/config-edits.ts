import { spawnSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { contentHash } from "../../src/config/load-config.ts";
import { sleep, unixMs } from "../bench/programs.ts";
import { type Daemon, isoIn, type SupervisedHome, scriptJob, until } from "../helpers/supervised-home.ts";

/** One edit that is done: from `settledMs` on the file is as its writer wants it. */
export interface Edit {
  readonly way: string;
  readonly path: string;
  readonly hash: string;
  readonly settledMs: number;
}

/** Since when a content counted, by the daemon's log. */
export interface Taken {
  readonly path: string;
  readonly hash: string;
  readonly atMs: number;
}

interface EditedFile {
  readonly path: string;
  content(edit: number): string;
  /** Each puts a content in place in one way that people's tools have. */
  readonly ways: Readonly<Record<string, (text: string) => Promise<void> | void>>;
}

const homeConfig = (edit: number): string =>
  `# edit ${edit}\ncron: {max_parallel_jobs: 50}\nsupervisor:\n  stop:\n    grace: ${1000 + edit} ms\n`;

/** The host's file, a home's and a profile's, each edited as it would be where it stands. */
export function editedFiles(home: SupervisedHome): readonly EditedFile[] {
  const profile = home.profile("mounted");
  const host = join(home.state, "config.yaml");
  const own = join(home.path, "config.yaml");
  const mounted = join(profile, "config.yaml");
  let versions = 0;
  const swap = (text: string): void => {
    // As Kubernetes does it: config.yaml → ..data/config.yaml, and ..data → a folder of each version.
    const version = `..v${++versions}`;
    mkdirSync(join(profile, version));
    writeFileSync(join(profile, version, "config.yaml"), text);
    symlinkSync(version, join(profile, "..data_tmp"));
    renameSync(join(profile, "..data_tmp"), join(profile, "..data"));
  };
  mkdirSync(home.state, { recursive: true, mode: 0o700 });
  writeFileSync(host, "limits: {max_open_runs: 50}\n");
  writeFileSync(own, homeConfig(0));
  swap(homeConfig(0));
  symlinkSync("..data/config.yaml", `${mounted}.new`);
  renameSync(`${mounted}.new`, mounted);
  return [
    {
      path: host,
      content: (edit) => `# edit ${edit}\nlimits:\n  max_open_runs: ${50 + edit}\n`,
      ways: {
        rename(text) {
          writeFileSync(`${host}.tmp`, text);
          renameSync(`${host}.tmp`, host);
        },
      },
    },
    {
      path: own,
      content: homeConfig,
      ways: {
        "in place": (text) => writeFileSync(own, text),
        async "in place, in two parts"(text) {
          const descriptor = openSync(own, "w");
          // The first part alone would be another valid config: a grace of a few milliseconds.
          const middle = text.lastIndexOf(" ms") - 2;
          writeSync(descriptor, text.slice(0, middle));
          await sleep(8);
          writeSync(descriptor, text.slice(middle));
          closeSync(descriptor);
        },
      },
    },
    { path: mounted, content: homeConfig, ways: { "symlink swap": swap } },
  ];
}

/** Scripts that wait until they are told that it is enough, and write down each start and each end. */
export async function openWaitingRuns(home: SupervisedHome, daemonStart: () => Daemon, count: number): Promise<Daemon> {
  const fifo = join(home.path, "enough");
  spawnSync("mkfifo", [fifo]);
  const ids = Array.from({ length: count }, (_, index) => `0000000000${index.toString(16).padStart(2, "0")}`);
  for (const id of ids) {
    home.script(
      `${id}.sh`,
      `echo start >> "$HERMES_HOME/lives"\nread -r _ < "${fifo}"\necho end >> "$HERMES_HOME/lives"\n`,
    );
  }
  home.writeJobs(ids.map((id) => scriptJob(id, 1440, `${id}.sh`, { next_run_at: isoIn(0) })));
  const daemon = daemonStart();
  await until(() => lives(home).filter((line) => line === "start").length === count, 60_000);
  await until(() => home.runs().filter((run) => run.state === "running").length === count, 60_000);
  return daemon;
}

/** What the scripts wrote. */
export function lives(home: SupervisedHome): readonly string[] {
  try {
    return readFileSync(join(home.path, "lives"), "utf8").trim().split("\n");
  } catch {
    return [];
  }
}

export async function endWaitingRuns(home: SupervisedHome, count: number): Promise<void> {
  closeSync(openSync(join(home.path, "enough"), "w"));
  await until(() => home.runs().filter((run) => run.ended_at !== null).length >= count, 60_000);
}

/** Makes one edit after another, at the three files in turn, and waits between them as `pauseMs` says. */
export async function makeEdits(
  files: readonly EditedFile[],
  count: number,
  pauseMs: () => number,
  after: (edit: number) => void = () => undefined,
): Promise<readonly Edit[]> {
  const edits: Edit[] = [];
  for (let edit = 1; edit <= count; edit++) {
    const file = files[edit % files.length]!;
    const ways = Object.entries(file.ways);
    const [way, put] = ways[Math.floor(edit / files.length) % ways.length]!;
    const text = file.content(edit);
    await put(text);
    edits.push({ way, path: file.path, hash: contentHash(text), settledMs: unixMs() });
    after(edit);
    await sleep(pauseMs());
  }
  return edits;
}

/** The contents that the daemon's log says were put in force, in order. */
export function takenIn(log: string): readonly Taken[] {
  return log.split("\n").flatMap((line) => {
    if (!line.includes('"msg":"a new configuration is in force"')) return [];
    const said = JSON.parse(line) as { readonly path: string; readonly content_hash: string; readonly time: string };
    return [{ path: said.path, hash: said.content_hash, atMs: Date.parse(said.time) }];
  });
}

/** What counts at last of each file. */
export function lastOf<T extends { readonly path: string; readonly hash: string }>(
  list: readonly T[],
): Readonly<Record<string, string>> {
  return Object.fromEntries(list.map(({ path, hash }) => [path, hash]));
}
