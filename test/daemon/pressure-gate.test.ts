import { expect, test } from "vitest";
import type { DaemonParts } from "../../src/daemon/daemon-parts.ts";
import { createPressureGate } from "../../src/daemon/pressure-gate.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";

const figures = (some: string): string =>
  `some avg10=${some} avg60=0.10 avg300=0.00 total=1\nfull avg10=99.00 avg60=0.00 avg300=0.00 total=1\n`;

function gateOf(pressureMax: { memory: number | null; cpu: number | null }, files: Readonly<Record<string, string>>) {
  const said: string[] = [];
  const read: string[] = [];
  const log = (message: string): number => said.push(message);
  const clock = createFakeClock(0);
  const parts = {
    settings: { pressureMax },
    system: {
      clock,
      log: { warn: log, info: log },
      files: {
        readText(path: string): string {
          read.push(path);
          const text = files[path];
          if (text === undefined) throw new Error("ENOENT");
          return text;
        },
      },
    },
  } as unknown as DaemonParts;
  const shortages = createPressureGate(parts);
  return { isPressed: () => shortages().length > 0, shortages, said, read, clock };
}

test("the pressure gate reads nothing unless a bound is set", () => {
  const { isPressed, read, said } = gateOf({ memory: null, cpu: null }, {});
  expect([isPressed(), read, said]).toEqual([false, [], []]);
});

test("the pressure gate closes above the bound, opens again, and looks no more often than the figures change", () => {
  const files = { "/proc/pressure/cpu": figures("20.01") };
  const { isPressed, said, read, clock } = gateOf({ memory: null, cpu: 20 }, files);
  expect([isPressed(), isPressed(), read.length]).toEqual([true, true, 1]);
  files["/proc/pressure/cpu"] = figures("20.00");
  expect(isPressed()).toBe(true);
  clock.pass(1000);
  expect([isPressed(), read.length]).toEqual([false, 2]);
  expect(said).toEqual(["only what is on time starts", "the machine is not short any more; what is late starts again"]);
});

test("the pressure gate says once that the system does not tell its pressure, and holds nothing back", () => {
  const { isPressed, said, clock } = gateOf({ memory: 10, cpu: 10 }, { "/proc/pressure/memory": "nonsense\n" });
  expect(isPressed()).toBe(false);
  clock.pass(1000);
  expect(isPressed()).toBe(false);
  expect(said).toEqual([
    "pressure.memory_max holds nothing back: this system does not tell its pressure",
    "pressure.cpu_max holds nothing back: this system does not tell its pressure",
  ]);
});
