// What the page weighs, and how soon it can be used on a slow machine. The bounds are far from what is measured: they
// catch a library that should not be there. The figures are printed for docs/playground.md.
import { assert, base, withPage } from "../page.mjs";
import { setKey } from "../playground.mjs";

const slowdown = 6; // about a phone of the lower middle

await withPage(
  "/chat",
  async (page, context) => {
    let bytes = 0;
    const cdp = await context.newCDPSession(page);
    await cdp.send("Network.enable");
    cdp.on("Network.loadingFinished", (e) => (bytes += e.encodedDataLength));
    await cdp.send("Emulation.setCPUThrottlingRate", { rate: slowdown });
    await page.goto(base + "/healthz");
    bytes = 0;
    await page.goto(base + "/chat", { waitUntil: "commit" });
    await page.locator("#prompt").waitFor();
    const usable = await page.evaluate(() => performance.now());
    await page.waitForLoadState("load");
    const weight = bytes;
    await cdp.send("Emulation.setCPUThrottlingRate", { rate: 1 });
    assert.ok(weight > 0 && weight < 150_000, `the page weighs ${weight} bytes`);
    console.log(`weight ${weight} bytes compressed; usable ${Math.round(usable)} ms after navigation with a CPU slowed down ${slowdown} times`);

    // An open page costs the server nothing: no request without a reason.
    await setKey(page);
    let requests = 0;
    context.on("request", () => requests++);
    await page.clock.install();
    await page.clock.runFor(10 * 60_000);
    assert.equal(requests, 0, "a page that lies there asks for nothing");
  },
  { allow: [/status of 401/] },
);
