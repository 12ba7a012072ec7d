export interface Timer {
  /** Stops it; safe to call again, and after it fired. */
  cancel(): void;
}

export interface Clock {
  /** Unix time in milliseconds, with a microsecond fraction. May jump. */
  nowMs(): number;
  /** Milliseconds since some moment that is the same for all programs since the machine's start. Never jumps. */
  monotonicMs(): number;
  /** Calls `act` once after `delayMs`. Any length is allowed, also past the 2^31-1 ms of Node's own timers. */
  after(delayMs: number, act: () => void): Timer;
  /** Stops the whole program for so long: for a few milliseconds at most. */
  wait(ms: number): void;
}
