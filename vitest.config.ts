import { defineConfig } from "vitest/config";

// Three projects: what needs no process of its own, what starts real processes, and what needs real Hermes from PyPI.
export default defineConfig({
  test: {
    // Most of these tests wait for processes, so three share two cores well; Vitest itself would leave one of the two alone.
    maxWorkers: 3,
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/program/**", "test/conformance/**"],
          testTimeout: 30_000,
        },
      },
      { test: { name: "program", include: ["test/program/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 60_000 } },
      {
        test: {
          name: "conformance",
          include: ["test/conformance/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
