import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { backend } from "./dev/backend.ts";

export default defineConfig({
  base: "/console/",
  plugins: [react(), backend()],
  build: {
    target: "es2023",
    // A data: URL of a small file would need its own place in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // One file of styles, since Vite does not ask again for one that could not be loaded.
    cssCodeSplit: false,
    // Of all that is in the bundle, beside it.
    license: { fileName: "licenses.md" },
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
});
