import { kernelCalls } from "./kernel-calls.ts";

/** On two cores everybody has 1.4 ms, on many 2.8 ms. */
const sliceNs = 700_000n;
/** Where these stand in a `struct sched_attr`. */
const at = { policy: 4, flags: 8, nice: 16, slice: 24 } as const;
const usualPolicy = 0;
const resetOnFork = 1n;

/**
 * Asks for short slices of the processor: since Linux 6.12 whoever has shorter ones than the others goes first when it wakes, and gives
 * way sooner. That is what the daemon needs, which does little at a time and is waited for. It gets no larger share by it, and what it
 * starts has usual slices. Older kernels take no notice. Answers whether the kernel took it.
 */
export function askForShortSlices(): boolean {
  const calls = kernelCalls();
  const attributes = calls?.schedulingAttributes() ?? null;
  if (calls === null || attributes === null) return false;
  // With the slices children would lose a policy or a priority above the usual one, which somebody has chosen for them too.
  if (attributes.readUInt32LE(at.policy) !== usualPolicy || attributes.readInt32LE(at.nice) < 0) return false;
  attributes.writeBigUInt64LE(attributes.readBigUInt64LE(at.flags) | resetOnFork, at.flags);
  attributes.writeBigUInt64LE(sliceNs, at.slice);
  return calls.setSchedulingAttributes(attributes);
}
