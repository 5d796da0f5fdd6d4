// Bundles the pages' scripts and styles into the folder given, by default internal/pages/static. What it writes is the
// same on every machine: the versions are those of the lock file.
import { build } from "esbuild";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const outdir = process.argv[2] ?? join(here, "../internal/pages/static");

await build({
  absWorkingDir: here,
  entryPoints: { chat: "src/chat/main.tsx" }, // a further page is a further row
  outdir,
  bundle: true,
  format: "esm",
  target: ["es2022"],
  minify: true,
  charset: "utf8",
  legalComments: "inline", // the licences of the libraries go with them
  logLevel: "warning",
});
