/** The share of the last ten seconds, in percent, in which some program had to wait: `some avg10` of a file of the kernel. */
export function parsePressure(text: string): number | null {
  const found = /^some avg10=(\d{1,3}(?:\.\d+)?)\s/mu.exec(text)?.[1];
  return found === undefined ? null : Number(found);
}

/** What the machine is short of: how much of the last ten seconds programs had to wait for it, and how much the settings allow (percent). */
export interface Shortage {
  readonly of: "memory" | "cpu";
  readonly percent: number;
  readonly max: number;
}

/** `the machine is short of memory (programs waited 31.5 % of the last ten seconds, pressure.memory_max is 20)` */
export function shortageText(shortages: readonly Shortage[]): string {
  const told = shortages.map(({ of, percent, max }) => {
    const what = of === "cpu" ? "processors" : "memory";
    return `${what} (programs waited ${percent} % of the last ten seconds, pressure.${of}_max is ${max})`;
  });
  return `the machine is short of ${told.length === 0 ? "memory or processors" : told.join(" and ")}`;
}
