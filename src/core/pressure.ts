/** The share of the last ten seconds, in percent, in which some program had to wait: `some avg10` of a file of the kernel. */
export function parsePressure(text: string): number | null {
  const found = /^some avg10=(\d{1,3}(?:\.\d+)?)\s/mu.exec(text)?.[1];
  return found === undefined ? null : Number(found);
}
