// Runs the driver: in this process (`node`), or in a page of a headless Chromium (`chromium URL`).
// Commands come as lines of JSON on stdin; reports and answers go out the same way.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { readFileSync } from "node:fs";

const [packages, runtime, origin] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${packages}/node_modules/`));
const driver = new URL("driver.js", import.meta.url);

function report(message) {
  process.stdout.write(JSON.stringify(message) + "\n");
}

async function inNode() {
  const { makeDriver } = createRequire(import.meta.url)(driver.pathname);
  const obey = makeDriver(require("pusher-js"), report);
  return { obey, end: async () => process.exit(0) };
}

async function inChromium() {
  const { default: chromium } = await import(pathToFileURL(require.resolve("@sparticuz/chromium")));
  const { default: puppeteer } = await import(pathToFileURL(require.resolve("puppeteer-core")));
  const browser = await puppeteer.launch({
    // The package turns off what a browser keeps pages from; here that is what counts.
    args: [
      ...chromium.args.filter((argument) => argument !== "--disable-web-security"),
      "--no-sandbox",
      "--proxy-server=direct://",
    ],
    executablePath: await chromium.executablePath(),
    headless: "shell",
  });
  const page = await browser.newPage();
  // Any page of the server will do: what counts is its origin. It may well forbid scripts.
  await page.setBypassCSP(true);
  await page.goto(origin);
  await page.exposeFunction("report", report);
  await page.addScriptTag({ path: require.resolve("pusher-js/dist/web/pusher.min.js") });
  await page.addScriptTag({ content: readFileSync(driver, "utf8") });
  await page.evaluate("window.obey = makeDriver(Pusher, window.report)");
  return {
    obey: (command) => page.evaluate((given) => window.obey(given), command),
    end: async () => {
      await browser.close();
      process.exit(0);
    },
  };
}

const { obey, end } = await (runtime === "chromium" ? inChromium() : inNode());
report({ what: "ready" });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  try {
    report({ what: "answer", answer: await obey(command) });
  } catch (error) {
    report({ what: "answer", failure: String(error) });
  }
}
await end();
