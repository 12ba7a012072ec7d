import { type ChildProcessByStdio, spawn } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { afterAll, expect, test } from "vitest";
import type { Files } from "../../src/system/files.ts";
import { createLocks } from "../../src/system/flock.ts";
import { LockHeldError, type Locks } from "../../src/system/lock.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { createFakeFiles } from "../helpers/fake-files.ts";
import { createFakeLocks } from "../helpers/fake-lock.ts";

interface Subject {
  readonly files: Files;
  readonly root: string;
  readonly locks: Locks;
  readonly pid: number;
}

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

const subjects: readonly (readonly [string, () => Subject])[] = [
  ["real", () => ({ files: createFiles(), root: createFolder(), locks: createLocks(), pid: process.pid })],
  [
    "fake",
    () => {
      const files = createFakeFiles();
      return { files, root: "/tmp", locks: createFakeLocks(files, new Map(), 4242), pid: 4242 };
    },
  ],
];

for (const [kind, createSubject] of subjects) {
  const name = (fact: string) => `${kind} locks: ${fact}`;

  test(name("tryLock() makes the file, which stays when the lock is released"), () => {
    const { files, root, locks } = createSubject();
    const lock = locks.tryLock(join(root, ".jobs.lock"));
    expect(lock).not.toBeNull();
    expect(files.stat(join(root, ".jobs.lock"))).toMatchObject({ kind: "file", mode: 0o644, sizeBytes: 0 });
    lock?.release();
    expect(files.list(root)).toEqual([".jobs.lock"]);
  });

  test(name("tryLock() gives a lock to one at a time, also within one process"), () => {
    const { root, locks } = createSubject();
    const path = join(root, ".jobs.lock");
    const first = locks.tryLock(path);
    expect(locks.tryLock(path)).toBeNull();
    const other = locks.tryLock(join(root, ".tick.lock"));
    expect(other).not.toBeNull();
    first?.release();
    const second = locks.tryLock(path);
    expect(second).not.toBeNull();
    second?.release();
    other?.release();
  });

  test(name("release() a second time does not take the lock from whoever has it by then"), () => {
    const { root, locks } = createSubject();
    const path = join(root, ".jobs.lock");
    const first = locks.tryLock(path);
    first?.release();
    const second = locks.tryLock(path);
    first?.release();
    expect(locks.tryLock(path)).toBeNull();
    second?.release();
  });

  test(name("lockWithin() throws who holds the lock when the wait is over"), () => {
    const { root, locks, pid } = createSubject();
    const path = join(root, ".jobs.lock");
    const lock = locks.lockWithin(path, 0);
    expect(() => locks.lockWithin(path, 5)).toThrow(LockHeldError);
    expect(() => locks.lockWithin(path, 5)).toThrow(
      expect.objectContaining({ path, holderPid: locks.holderPid(path) }),
    );
    expect(locks.holderPid(path)).toBe(pid);
    lock.release();
    expect(locks.holderPid(path)).toBeNull();
    expect(locks.holderPid(join(root, "none"))).toBeNull();
  });

  test(name("tryLock() in a folder that is not there throws with the path, and makes no folder"), () => {
    const { files, root, locks } = createSubject();
    const path = join(root, "cron", ".jobs.lock");
    expect(() => locks.tryLock(path)).toThrow(expect.objectContaining({ code: "ENOENT", path }));
    expect(files.stat(join(root, "cron"))).toBeNull();
  });
}

test("holderPid() takes nobody who only looks, with a shared lock, for the holder", async () => {
  const path = join(createFolder(), "daemon.lock");
  const python = await startPython(path);
  try {
    expect(await python.ask("lock shared")).toBe("True");
    expect(createLocks().holderPid(path)).toBeNull();
    expect(await python.ask("lock")).toBe("True");
    expect(createLocks().holderPid(path)).toBe(python.pid);
  } finally {
    await python.end();
  }
});

test("tryLock() finds a lock of Python's fcntl.flock taken, and says whose it is", async () => {
  const path = join(createFolder(), ".jobs.lock");
  const python = await startPython(path);
  const locks = createLocks();
  try {
    expect(await python.ask("lock")).toBe("True");
    expect(locks.tryLock(path)).toBeNull();
    expect(locks.holderPid(path)).toBe(python.pid);
    expect(await python.ask("unlock")).toBe("True");
    const lock = locks.tryLock(path);
    expect(lock).not.toBeNull();
    lock?.release();
  } finally {
    await python.end();
  }
});

test("tryLock() keeps Python's fcntl.flock out, until it is released", async () => {
  const path = join(createFolder(), ".jobs.lock");
  const python = await startPython(path);
  try {
    const lock = createLocks().tryLock(path);
    expect(await python.ask("lock")).toBe("False");
    lock?.release();
    expect(await python.ask("lock")).toBe("True");
  } finally {
    await python.end();
  }
});

test("lockWithin() waits for a lock that is released in time", async () => {
  const path = join(createFolder(), ".jobs.lock");
  const python = await startPython(path);
  try {
    expect(await python.ask("lock")).toBe("True");
    python.tell("unlock soon");
    const lock = createLocks().lockWithin(path, 20_000);
    expect(createLocks().holderPid(path)).toBe(process.pid);
    lock.release();
  } finally {
    await python.end();
  }
});

test("tryLock() of a file that a process left locked at its death succeeds", async () => {
  const path = join(createFolder(), ".jobs.lock");
  const python = await startPython(path);
  expect(await python.ask("lock")).toBe("True");
  await python.end();
  const lock = createLocks().tryLock(path);
  expect(lock).not.toBeNull();
  lock?.release();
});

function createFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "locks-")));
  folders.push(folder);
  return folder;
}

const holder = `
import fcntl, sys, time
f = open(sys.argv[1], "a+")
print("ready", flush=True)
for line in sys.stdin:
    if line.startswith("unlock"):
        if "soon" in line:
            time.sleep(0.05)
        fcntl.flock(f, fcntl.LOCK_UN)
        print("True", flush=True)
        continue
    try:
        fcntl.flock(f, (fcntl.LOCK_SH if "shared" in line else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        print("True", flush=True)
    except BlockingIOError:
        print("False", flush=True)
`;

interface Python {
  readonly pid: number;
  ask(line: string): Promise<string>;
  tell(line: string): void;
  end(): Promise<void>;
}

async function startPython(path: string): Promise<Python> {
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn("python3", ["-c", holder, path], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => String((await lines.next()).value);
  expect(await next()).toBe("ready");
  return {
    pid: child.pid ?? 0,
    ask(line) {
      child.stdin.write(`${line}\n`);
      return next();
    },
    tell: (line) => void child.stdin.write(`${line}\n`),
    async end() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
