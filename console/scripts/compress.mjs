// Puts compressed forms of the built texts beside them, for the service to send as they are: `.br` and `.gz`.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const TEXTS = new Set([".css", ".html", ".js", ".json", ".md", ".svg", ".webmanifest"]);
// Less does not repay two more files.
const SMALLEST = 1024;
const dist = join(import.meta.dirname, "../dist");

for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  const file = join(entry.parentPath, entry.name);
  if (!entry.isFile() || !TEXTS.has(extname(file))) continue;
  const content = readFileSync(file);
  if (content.length < SMALLEST) continue;
  const params = { [constants.BROTLI_PARAM_SIZE_HINT]: content.length };
  writeFileSync(`${file}.br`, brotliCompressSync(content, { params }));
  writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }));
}
