// One Chromium for all scripts of a Go test: it prints the address at which they reach it, and ends with its standard input.
// A script has contexts of its own in it, which share neither cookies nor storage with those of others.
import { chromium } from "playwright-core";

const server = await chromium.launchServer({
  executablePath: process.env.CHROMIUM, chromiumSandbox: process.getuid?.() !== 0, // Chromium's sandbox does not run as root
  args: ["--disable-dev-shm-usage", "--disable-gpu", "--disable-extensions", "--disable-background-networking", "--disable-component-update"],
});
console.log(server.wsEndpoint());
process.stdin.resume();
process.stdin.on("end", async () => {
  await server.close();
  process.exit();
});
