// How soon pages can be used on a slow phone: Chromium with its processor slowed down six times, on a network of 1.6 Mbit/s
// and 150 ms, with nothing in its cache. A page can be used when what people use is there and no long task (50 ms) is left.
// Of seven loads the median. By hand, because a busy machine has other numbers: TestMeasure.
import { base, withPage } from "./page.mjs";

const pages = { "/": "a.button", "/docs/settings": "h1", "/chat": "#prompt" };

for (const [path, used] of Object.entries(pages)) {
  await withPage(path, async (page, context) => {
    const cdp = await context.newCDPSession(page);
    await cdp.send("Network.enable");
    await cdp.send("Network.setCacheDisabled", { cacheDisabled: true });
    await cdp.send("Network.emulateNetworkConditions", { offline: false, latency: 150, downloadThroughput: 1.6e6 / 8, uploadThroughput: 0.75e6 / 8 });
    await cdp.send("Emulation.setCPUThrottlingRate", { rate: 6 });
    let bytes = 0, requests = 0;
    cdp.on("Network.loadingFinished", (e) => { bytes += e.encodedDataLength; requests++; });
    const seen = { painted: [], usable: [] };
    for (let i = 0; i < 7; i++) {
      bytes = requests = 0;
      await page.goto("about:blank");
      await page.goto(base + path, { waitUntil: "load" });
      await page.locator(used).first().waitFor();
      const [painted, usable] = await page.evaluate(() => new Promise((done) => {
        const there = performance.now();
        let busy = 0;
        new PerformanceObserver((list) => { for (const e of list.getEntries()) busy = Math.max(busy, e.startTime + e.duration); }).observe({ type: "longtask", buffered: true });
        requestIdleCallback(() => setTimeout(() => {
          const loaded = performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd;
          done([performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? there, Math.max(busy, loaded)]);
        }, 200));
      }));
      seen.painted.push(painted);
      seen.usable.push(usable);
    }
    const median = (list) => Math.round(list.sort((a, b) => a - b)[Math.floor(list.length / 2)]);
    console.log(`${path.padEnd(16)} ${requests} requests, ${(bytes / 1000).toFixed(1)} KB, first words after ${median(seen.painted)} ms, usable after ${median(seen.usable)} ms`);
  });
}
