import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { backend } from "./dev/backend.ts";

export default defineConfig({
  base: "/console/",
  plugins: [react(), backend()],
  build: {
    target: "es2023",
    // A data: URL of a small file would need its own place in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: "index.html", sw: "src/sw.ts" },
      output: {
        // The worker's address must not change, or browsers would keep the old worker beside the new one.
        entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
      },
    },
  },
  // Grammars are loaded when they are needed, so the worker must be a module.
  worker: { format: "es" },
  test: { include: ["src/**/*.test.{ts,tsx}"], environment: "node" },
});
