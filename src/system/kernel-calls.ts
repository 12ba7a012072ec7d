import { createRequire } from "node:module";

/** Calls of the C library that Node has no word for. Each answers -1 on failure, and `errorNumber` then says why. */
export interface KernelCalls {
  pidfdOpen(pid: number): number;
  pidfdSendSignal(descriptor: number, signal: number, flags: number): number;
  becomeSubreaper(): number;
  /** The PID of a child of ours that is a zombie, left as it is; 0 when none is, -1 when we have no child. */
  peekZombie(): number;
  /** Collects a zombie child; answers its PID. */
  reap(pid: number): number;
  /** Takes a range out of a file so that what follows moves up. Writes what is dirty first, so it works beside the loop. False where the file system cannot. */
  collapseRange(descriptor: number, offsetBytes: number, lengthBytes: number): Promise<boolean>;
  /** The soft limit of ours that binds only realtime processes, in microseconds; null when it cannot be read. */
  softRealtimeLimit(): bigint | null;
  /** Leaves the hard limit as it is. False where the system refuses. */
  setSoftRealtimeLimit(microseconds: bigint): boolean;
  /** Whether something keeps the clock right; null when the kernel does not say. */
  isClockSynchronised(): boolean | null;
  /** The `struct sched_attr` of the calling thread; null when it cannot be read. */
  schedulingAttributes(): Buffer | null;
  setSchedulingAttributes(attributes: Buffer): boolean;
  readonly pageBytes: number;
  errorNumber(): number;
}

/** The same on x64 and arm64, as on every architecture since Linux 5.1. */
const systemCalls = { pidfdSendSignal: 424, pidfdOpen: 434 } as const;

/** sched_setattr and sched_getattr, which are older than that. */
const schedulingCalls =
  process.arch === "arm64" ? ({ set: 274, get: 275 } as const) : ({ set: 314, get: 315 } as const);
const schedulingBytes = 48;

const setChildSubreaper = 36;
const realtimeLimit = 15;
const withoutWaiting = 1;
const exited = 4;
const leaveWaitable = 0x01000000;
const anyChild = 0;
const pageSizeName = 30;
const collapseRange = 8;
/** More than a struct timex of any 64-bit Linux; all zeros ask and change nothing. */
const timexBytes = 512;
const unsynchronised = 5;
/** `si_pid` in a siginfo_t of a 64-bit Linux. */
const pidOffset = 16;

let calls: KernelCalls | null | undefined;

/** Null on systems other than 64-bit Linux. Loaded at the first use, because it takes longer than a `--help` should. */
export function kernelCalls(): KernelCalls | null {
  calls ??= process.platform === "linux" && ["x64", "arm64"].includes(process.arch) ? load() : null;
  return calls;
}

function load(): KernelCalls {
  const koffi: typeof import("koffi") = createRequire(import.meta.url)("koffi");
  const library = koffi.load(null);
  const syscall = library.func("long syscall(long number, long a, long b, long c, long d)");
  const scheduling = library.func("long syscall(long number, long pid, _Inout_ uint8_t *attributes, long a, long b)");
  const prctl = library.func(
    "int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)",
  );
  const waitid = library.func("int waitid(int type, int id, _Out_ uint8_t *info, int options)");
  const waitpid = library.func("int waitpid(int pid, _Out_ int *status, int options)");
  const fallocate = library.func("int fallocate(int descriptor, int mode, int64_t offset, int64_t length)");
  const getrlimit = library.func("int getrlimit(int resource, _Out_ uint64_t *limits)");
  const setrlimit = library.func("int setrlimit(int resource, const uint64_t *limits)");
  const readRealtimeLimits = (): BigUint64Array | null => {
    const limits = new BigUint64Array(2);
    return Number(getrlimit(realtimeLimit, limits)) === 0 ? limits : null;
  };
  const sysconf = library.func("long sysconf(int name)");
  const info = Buffer.alloc(128);
  const status = [0];
  return {
    pidfdOpen: (pid) => Number(syscall(systemCalls.pidfdOpen, pid, 0, 0, 0)),
    pidfdSendSignal: (descriptor, signal, flags) =>
      Number(syscall(systemCalls.pidfdSendSignal, descriptor, signal, 0, flags)),
    becomeSubreaper: () => Number(prctl(setChildSubreaper, 1, 0, 0, 0)),
    peekZombie() {
      info.fill(0);
      const answer = Number(waitid(anyChild, 0, info, exited | withoutWaiting | leaveWaitable));
      return answer === 0 ? info.readInt32LE(pidOffset) : -1;
    },
    reap: (pid) => Number(waitpid(pid, status, withoutWaiting)),
    collapseRange: (descriptor, offsetBytes, lengthBytes) =>
      new Promise((resolve) => {
        fallocate.async(descriptor, collapseRange, offsetBytes, lengthBytes, (error: unknown, answer: number) =>
          resolve(!error && answer === 0),
        );
      }),
    softRealtimeLimit: () => readRealtimeLimits()?.[0] ?? null,
    setSoftRealtimeLimit(microseconds) {
      const hard = readRealtimeLimits()?.[1];
      if (hard === undefined) return false;
      return Number(setrlimit(realtimeLimit, BigUint64Array.of(microseconds, hard))) === 0;
    },
    isClockSynchronised() {
      const state = Number(library.func("int adjtimex(_Inout_ uint8_t *timex)")(Buffer.alloc(timexBytes)));
      return state < 0 ? null : state !== unsynchronised;
    },
    schedulingAttributes() {
      const attributes = Buffer.alloc(schedulingBytes);
      return Number(scheduling(schedulingCalls.get, 0, attributes, schedulingBytes, 0)) === 0 ? attributes : null;
    },
    setSchedulingAttributes: (attributes) => Number(scheduling(schedulingCalls.set, 0, attributes, 0, 0)) === 0,
    pageBytes: Number(sysconf(pageSizeName)),
    errorNumber: () => koffi.errno(),
  };
}
