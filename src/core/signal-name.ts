/** Signals that can end a process, by their Linux numbers; macOS has the same numbers for those that matter here. */
const names: Readonly<Record<number, string>> = {
  1: "SIGHUP",
  2: "SIGINT",
  3: "SIGQUIT",
  4: "SIGILL",
  5: "SIGTRAP",
  6: "SIGABRT",
  7: "SIGBUS",
  8: "SIGFPE",
  9: "SIGKILL",
  10: "SIGUSR1",
  11: "SIGSEGV",
  12: "SIGUSR2",
  13: "SIGPIPE",
  14: "SIGALRM",
  15: "SIGTERM",
  16: "SIGSTKFLT",
  24: "SIGXCPU",
  25: "SIGXFSZ",
  26: "SIGVTALRM",
  27: "SIGPROF",
  29: "SIGIO",
  30: "SIGPWR",
  31: "SIGSYS",
};

/** The real-time signals that the C library leaves to programs; each of them ends one that does not expect it. */
const realTimeMin = 34;
const realTimeMax = 64;

export function signalName(number: number): string | null {
  if (number < realTimeMin || number > realTimeMax) return names[number] ?? null;
  return number === realTimeMin ? "SIGRTMIN" : `SIGRTMIN+${number - realTimeMin}`;
}
