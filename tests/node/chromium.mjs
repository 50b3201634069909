// A headless Chromium, of the npm packages that are given.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

/** How the packages in a folder are found. */
export function requireOf(packages) {
  return createRequire(pathToFileURL(`${packages}/node_modules/`));
}

export async function launch(packages, ...more) {
  const require = requireOf(packages);
  const { default: chromium } = await import(pathToFileURL(require.resolve("@sparticuz/chromium")));
  const { default: puppeteer } = await import(pathToFileURL(require.resolve("puppeteer-core")));
  return puppeteer.launch({
    // The package turns off what a browser keeps pages from; here that is what counts.
    args: [
      ...chromium.args.filter((argument) => argument !== "--disable-web-security"),
      "--no-sandbox",
      "--proxy-server=direct://",
      ...more,
    ],
    executablePath: await chromium.executablePath(),
    headless: "shell",
  });
}
