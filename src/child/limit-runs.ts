import { runFiles } from "../../worker/protocol.ts";
import type { Timer } from "../system/clock.ts";
import type { System } from "../system/system.ts";
import type { Child, ChildTable } from "./child-table.ts";
import type { StopCause } from "./stop-cause.ts";

/** Holds runs to their limits of silence, memory and output while they are open. */
export interface LimitWatch {
  /** To be called when a run was added: looking goes on for as long as there is one. */
  start(): void;
  /** Holds the output of a run that has ended to its bound one last time. */
  finish(child: Child): Promise<void>;
  halt(): void;
}

export interface LimitActions {
  stop(child: Child, cause: StopCause): void;
  memoryBytes(children: readonly Child[]): Promise<ReadonlyMap<string, number>>;
}

/** A fast printer writes some hundred megabytes between two looks; what is too much of it is given back then. */
const lookMs = 250;
const memoryLookMs = 1000;
/** A look at fifty runs takes milliseconds where they take all processors: between a few of them the loop goes round. */
const looksPerTurn = 10;

interface Watched {
  outputBytes: number;
  grownAtMonotonicMs: number;
}

export function createLimitWatch(
  system: System,
  children: ChildTable,
  stateFolder: string,
  actions: LimitActions,
): LimitWatch {
  const { clock } = system;
  const watched = new Map<string, Watched>();
  const cutting = new Map<string, Promise<void>>();
  let timer: Timer | null = null;
  let memoryAtMs = 0;
  let measuring = false;
  let halted = false;

  const streams = (child: Child): readonly [output: string, errors: string] => {
    const folder = `${stateFolder}/runs/${child.runId}`;
    return [`${folder}/${runFiles.output}`, `${folder}/${runFiles.errors}`];
  };

  const sizesOf = (child: Child): readonly number[] =>
    streams(child).map((path) => system.files.stat(path)?.sizeBytes ?? 0);

  function look(all = children.all(), from = 0): void {
    timer = null;
    if (halted) return;
    const end = from + looksPerTurn;
    for (const child of all.slice(from, end)) if (children.get(child.runId) === child) lookAt(child);
    if (end < all.length) {
      timer = clock.after(0, () => look(all, end));
      return;
    }
    for (const runId of watched.keys()) if (children.get(runId) === null) watched.delete(runId);
    measureMemory(all.filter((child) => child.limits.memoryBytesMax !== null && isHeldTo(child)));
    if (all.length > 0) timer = clock.after(lookMs, () => look());
  }

  function lookAt(child: Child): void {
    const sizes = sizesOf(child);
    const outputBytes = (sizes[0] ?? 0) + (sizes[1] ?? 0);
    const now = clock.monotonicMs();
    const before = watched.get(child.runId);
    if (before === undefined) watched.set(child.runId, { outputBytes, grownAtMonotonicMs: now });
    else if (before.outputBytes !== outputBytes) Object.assign(before, { outputBytes, grownAtMonotonicMs: now });
    if (!isHeldTo(child)) return;
    const { idleTimeoutMs, outputBytesMax, outputMaxAction } = child.limits;
    if (outputBytes > outputBytesMax && outputMaxAction === "stop") {
      const text = `Stopped after it printed more than ${bytesText(outputBytesMax)} (output_max)`;
      actions.stop(child, { reason: "output_limit", text });
      return;
    }
    // Below that neither stream has more than its share.
    if (outputBytes > outputBytesMax) void holdOutput(child, sizes);
    if (idleTimeoutMs === null || before === undefined || now - before.grownAtMonotonicMs < idleTimeoutMs) return;
    const text = `Stopped after ${idleTimeoutMs / 1000} s without output (idle_timeout)`;
    actions.stop(child, { reason: "idle_timeout", text });
  }

  function measureMemory(limited: readonly Child[]): void {
    const now = clock.monotonicMs();
    if (limited.length === 0 || measuring || now < memoryAtMs) return;
    memoryAtMs = now + memoryLookMs;
    measuring = true;
    void actions
      .memoryBytes(limited)
      .then((sums) => {
        if (halted) return;
        for (const child of limited) {
          const max = child.limits.memoryBytesMax ?? Number.POSITIVE_INFINITY;
          const used = sums.get(child.runId) ?? 0;
          if (used <= max || !isHeldTo(child)) continue;
          const text = `Stopped because it used ${bytesText(used)} of memory, more than ${bytesText(max)} (memory_max)`;
          actions.stop(child, { reason: "memory_limit", text });
        }
      })
      .catch((error: unknown) => system.log.error("could not measure the memory of runs", { error: String(error) }))
      .finally(() => {
        measuring = false;
      });
  }

  /** Both streams together get `output_max`; neither can take more than half of it from the other. */
  function holdOutput(child: Child, sizes = sizesOf(child)): Promise<unknown> {
    const { outputBytesMax } = child.limits;
    return Promise.all(
      streams(child).map((path, index) => {
        const bytesMax = outputBytesMax - Math.min(sizes[1 - index] ?? 0, Math.floor(outputBytesMax / 2));
        return (sizes[index] ?? 0) > bytesMax ? cut(path, Math.floor(bytesMax / 2)) : cutting.get(path);
      }),
    );
  }

  /** One cut of a file at a time. */
  function cut(path: string, keptBytes: number): Promise<void> {
    const known = cutting.get(path);
    if (known !== undefined) return known;
    const made = system.files
      .dropMiddle(path, keptBytes)
      .catch((error: unknown) => system.log.error("could not shorten an output", { path, error: String(error) }))
      .finally(() => cutting.delete(path));
    cutting.set(path, made);
    return made;
  }

  return {
    start() {
      if (!halted) timer ??= clock.after(lookMs, () => look());
    },
    async finish(child) {
      watched.delete(child.runId);
      // A cut that was under way began before the last of the output.
      await holdOutput(child);
      await holdOutput(child);
    },
    halt() {
      halted = true;
      timer?.cancel();
    },
  };
}

/** Not one that is being ended, nor one that is over and whose end waits to be recorded: it is silent and nobody minds. */
function isHeldTo(child: Child): boolean {
  return child.cause === null && child.overAtMs === null;
}

function bytesText(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const;
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`;
}
