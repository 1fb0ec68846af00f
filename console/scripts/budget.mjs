// Fails if the first load exceeds its budget: what index.html names, and what those files import at once, as gzip.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const BUDGET = 220_000;
const dist = join(import.meta.dirname, "../dist");
const seen = new Set();

function add(name) {
  if (seen.has(name)) return;
  seen.add(name);
  if (!name.endsWith(".js")) return;
  const text = readFileSync(join(dist, name), "utf8");
  for (const [, file] of text.matchAll(/(?:^|[;}\s])import(?:[^"'`();]*from)?\s*["']\.\/([^"']+)["']/g))
    add(`assets/${file}`);
}

const page = readFileSync(join(dist, "index.html"), "utf8");
for (const [, file] of page.matchAll(/(?:src|href)="\/console\/(assets\/[^"]+\.(?:js|css))"/g)) add(file);
const sizes = [...seen].map((name) => [name, gzipSync(readFileSync(join(dist, name)), { level: 9 }).length]);
const total = sizes.reduce((sum, [, size]) => sum + size, gzipSync(page).length);
for (const [name, size] of sizes) console.log(`${String(size).padStart(8)}  ${name}`);
console.log(`${String(total).padStart(8)}  first load (budget ${BUDGET})`);
if (total > BUDGET || seen.size === 0) process.exit(1);
