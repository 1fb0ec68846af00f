import { defineConfig } from "vitest/config";

// Apart from vite.config.ts, so that a build needs no package of the tests.
export default defineConfig({
  test: { include: ["src/**/*.test.{ts,tsx}"], environment: "node", slowTestThreshold: 10_000 },
});
