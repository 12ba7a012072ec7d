import { subscribe } from "node:diagnostics_channel";
import { type KernelCalls, kernelCalls } from "./kernel-calls.ts";

/** Node collects its own children a moment after the signal; only then is it plain whether another zombie is behind them. */
const lookAgainMs = 20;

interface NodeChild {
  readonly pid?: number;
  readonly exitCode: number | null;
  readonly signalCode: string | null;
}

const nodeChildren = new Set<NodeChild>();
let watching = false;

/** From here on `isNodeChild` knows every process that this program starts, by whatever part of it. */
export function watchNodeChildren(): void {
  if (watching) return;
  watching = true;
  subscribe("child_process", (message) => {
    for (const child of nodeChildren) if (hasEnded(child)) nodeChildren.delete(child);
    nodeChildren.add((message as { readonly process: NodeChild }).process);
  });
}

function hasEnded(child: NodeChild): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Whether we started it and Node has not told us of its end: its PID cannot belong to another process. */
export function isNodeChild(pid: number): boolean {
  for (const child of nodeChildren) if (child.pid === pid && !hasEnded(child)) return true;
  return false;
}

/**
 * Makes orphans of our runs our own children, so that none can leave our sight by being orphaned, and collects them when
 * they end. The exits of Node's own children are left to Node. Whoever has children before starting any cannot tell
 * orphans of theirs from orphans of runs, as little as the first process of a container can.
 */
export function becomeReaper(hasChildren: boolean): "none" | "subreaper" | "init" {
  const calls = kernelCalls();
  if (calls === null) return "none";
  const kind = becomeReaperOf(calls, hasChildren);
  if (kind === "none") return kind;
  process.on("SIGCHLD", () => setImmediate(() => collect(calls)));
  return kind;
}

function becomeReaperOf(calls: KernelCalls, hasChildren: boolean): "none" | "subreaper" | "init" {
  if (process.pid === 1) return "init";
  if (calls.becomeSubreaper() !== 0) return "none";
  return hasChildren ? "init" : "subreaper";
}

let again = false;

function collect(calls: KernelCalls): void {
  for (;;) {
    const pid = calls.peekZombie();
    if (pid <= 0) return;
    if (isNodeChild(pid)) break;
    if (calls.reap(pid) !== pid) return;
  }
  if (again) return;
  again = true;
  setTimeout(() => {
    again = false;
    collect(calls);
  }, lookAgainMs).unref();
}
