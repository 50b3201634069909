// Runs the driver: in this process (`node`), or in a page of a headless Chromium (`chromium URL`).
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

import { launch, requireOf } from "../../../node/chromium.mjs";
import { listen, report } from "../../../node/program.mjs";

const [packages, runtime, origin] = process.argv.slice(2);
const require = requireOf(packages);
const driver = new URL("driver.js", import.meta.url);

async function inNode() {
  const { makeDriver } = createRequire(import.meta.url)(driver.pathname);
  return { obey: makeDriver(require("pusher-js"), report), end: async () => {} };
}

async function inChromium() {
  const browser = await launch(packages);
  const page = await browser.newPage();
  // Any page of the server will do: what counts is its origin. It may well forbid scripts.
  await page.setBypassCSP(true);
  await page.goto(origin);
  await page.exposeFunction("report", report);
  await page.addScriptTag({ path: require.resolve("pusher-js/dist/web/pusher.min.js") });
  await page.addScriptTag({ content: readFileSync(driver, "utf8") });
  await page.evaluate("window.obey = makeDriver(Pusher, window.report)");
  return { obey: (command) => page.evaluate((given) => window.obey(given), command), end: () => browser.close() };
}

const { obey, end } = await (runtime === "chromium" ? inChromium() : inNode());
await listen(obey);
await end();
process.exit(0);
