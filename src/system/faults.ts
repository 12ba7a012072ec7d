/**
 * Ends this process with SIGKILL at a named point of a run, for tests of recovery: `HERMES_SUPERVISOR_FAULT=<point>` at its
 * first passing, `<point>:<n>` at its n-th, `<point>:<n>:SIGSTOP` only halts it there. Without the variable it does nothing.
 */
export function createFaults(setting: string | undefined): (point: string) => void {
  if (setting === undefined || setting === "") return () => undefined;
  const [wanted, count, signal] = setting.split(":");
  let left = Number(count ?? "1");
  return (point) => {
    if (point === wanted && --left === 0) process.kill(process.pid, signal ?? "SIGKILL");
  };
}
