// Runs the tests below src: bundles them, because Node does not read TypeScript in every version, and gives them to
// Node's own test runner.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const outdir = mkdtempSync(join(tmpdir(), "composer-api-web-"));
try {
  const tests = readdirSync(join(here, "src"), { recursive: true }).filter((name) => name.endsWith(".test.ts"));
  await build({
    absWorkingDir: here, entryPoints: tests.map((name) => join("src", name)), outdir, outExtension: { ".js": ".mjs" },
    bundle: true, format: "esm", platform: "node", target: ["node20"], logLevel: "warning", sourcemap: "inline",
  });
  const bundles = readdirSync(outdir, { recursive: true }).filter((name) => name.endsWith(".mjs")).map((name) => join(outdir, name));
  process.exitCode = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...bundles], { stdio: "inherit" }).status ?? 1;
} finally {
  rmSync(outdir, { recursive: true });
}
