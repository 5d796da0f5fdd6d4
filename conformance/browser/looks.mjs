// How a page looks: in the light, in the dark, on a phone. axe checks the first two, whose colours differ; each must fit.
import { accessible, coloursAlone, fits, shot } from "./page.mjs";

const views = {
  light: { colorScheme: "light", width: 1100, height: 800 },
  dark: { colorScheme: "dark", width: 1100, height: 800 },
  phone: { colorScheme: "light", width: 320, height: 640 },
};

/** looks checks the page as it is now in every view. */
export async function looks(page, name) {
  for (const [view, { colorScheme, ...size }] of Object.entries(views)) {
    await page.emulateMedia({ colorScheme, reducedMotion: view === "phone" ? "reduce" : "no-preference" });
    await page.setViewportSize(size);
    if (view !== "phone") await accessible(page, `${name}, ${view}`, view === "dark" ? coloursAlone : {});
    await fits(page, `${name}, ${view}`);
    await shot(page, `${name}-${view}`, { fullPage: true });
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "no-preference" });
  await page.setViewportSize(views.light);
}

/** tabTo presses Tab until the element has the focus: a person without a mouse gets there. */
export async function tabTo(page, locator) {
  for (let i = 0; i < 120; i++) {
    await page.keyboard.press("Tab");
    if (await locator.evaluate((e) => e === document.activeElement)) return;
  }
  throw new Error(`Tab does not lead to ${locator}`);
}
