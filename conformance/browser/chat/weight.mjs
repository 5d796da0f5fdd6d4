// What the page weighs, and how much work it is for the browser until it can be used. The work is the processor time of the
// page's main thread, so that a busy machine doesn't count; a slow phone takes about six times as long. The bounds are far
// from what is measured: they catch a library that should not be there.
import { assert, withPage } from "../page.mjs";
import { setKey } from "../playground.mjs";

await withPage(
  "/chat",
  async (page, context) => {
    let bytes = 0;
    const cdp = await context.newCDPSession(page);
    await cdp.send("Network.enable");
    await cdp.send("Network.setCacheDisabled", { cacheDisabled: true });
    cdp.on("Network.loadingFinished", (e) => (bytes += e.encodedDataLength));
    await cdp.send("Performance.enable", { timeDomain: "threadTicks" });
    const worked = async () => (await cdp.send("Performance.getMetrics")).metrics.find((m) => m.name === "TaskDuration").value * 1000;
    await page.locator("#prompt").waitFor();
    bytes = 0;
    const before = await worked();
    await page.reload({ waitUntil: "load" });
    await page.locator("#prompt").waitFor();
    const work = (await worked()) - before;
    assert.ok(bytes > 50_000 && bytes < 150_000, `the page weighs ${bytes} bytes`);
    assert.ok(work < 1500, `the page is ${work} ms of work`);
    console.log(`weight ${bytes} bytes compressed; ${Math.round(work)} ms of work until it can be used`);

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
