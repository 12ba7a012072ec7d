import { createRequire } from "node:module";

/** Both ends of a pipe, as descriptors that no child inherits unless it is handed one. */
export interface Pipe {
  readonly readEnd: number;
  readonly writeEnd: number;
}

let makePipe: ((ends: Int32Array, flags: number) => number) | null = null;
const closeOnExec = 0o2000000;

/**
 * A plain pipe. Node's own `"pipe"` is a pair of sockets behind a stream: opening a gate through it costs the daemon ten
 * times as much, at the very moment when the jobs it starts want the processor.
 */
export function createPipe(): Pipe {
  makePipe ??= load();
  const ends = new Int32Array(2);
  if (makePipe(ends, closeOnExec) !== 0) {
    throw new Error("Cannot make a pipe: the system refused, most likely for too many open files");
  }
  return { readEnd: ends[0] ?? -1, writeEnd: ends[1] ?? -1 };
}

/** Loaded at the first gate, because it takes longer than a `--help` should. */
function load(): (ends: Int32Array, flags: number) => number {
  const koffi: typeof import("koffi") = createRequire(import.meta.url)("koffi");
  const library = koffi.load(null);
  if (process.platform === "linux") {
    const pipe2 = library.func("int pipe2(_Out_ int32_t *ends, int flags)");
    return (ends, flags) => Number(pipe2(ends, flags));
  }
  const pipe = library.func("int pipe(_Out_ int32_t *ends)");
  const fcntl = library.func("int fcntl(int descriptor, int command, int argument)");
  const setDescriptorFlags = 2;
  return (ends) => {
    const answer = Number(pipe(ends));
    if (answer === 0) for (const end of ends) fcntl(end, setDescriptorFlags, 1);
    return answer;
  };
}
