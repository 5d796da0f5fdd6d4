#!/usr/bin/env node
// Runs the program that one of the packages @composer-api/* has brought, with this process's arguments and streams.
"use strict";
const { spawn } = require("node:child_process");

const name = `@composer-api/${process.platform}-${process.arch}`;
let program;
try {
  program = require.resolve(`${name}/composer-api${process.platform === "win32" ? ".exe" : ""}`);
} catch {
  console.error(`composer-api: the package ${name} is not installed`);
  console.error("hint: install composer-api again with optional dependencies (without --omit=optional), or there is no program for this system");
  process.exit(1);
}

const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });
// A terminal sends Ctrl-C to both; what is sent to this process alone is passed on.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => child.kill(signal));
}
child.on("error", (err) => {
  console.error(`composer-api: ${program} can't be started: ${err.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
