// A headless Chromium with a made-up camera and microphone, at a page: `node main.mjs PACKAGES URL`.
import { launch } from "../node/chromium.mjs";
import { listen } from "../node/program.mjs";

const [packages, url] = process.argv.slice(2);
const PATIENCE = 30_000;

const browser = await launch(
  packages,
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  "--autoplay-policy=no-user-gesture-required",
  "--allow-loopback-in-peer-connection",
);
const page = await browser.newPage();
page.on("dialog", (dialog) => dialog.accept());
page.on("console", (message) => console.error(message.text()));
page.on("pageerror", (error) => console.error(error.stack));
await page.goto(url);

// What follows is asked of the page as whoever sits before it would see and hear it.
const commands = {
  async fill({ form, ...fields }) {
    await page.evaluate(
      (form, fields) => {
        const found = document.getElementById(form);
        for (const [name, value] of Object.entries(fields)) found.elements[name].value = value;
        found.requestSubmit();
      },
      form,
      fields,
    );
  },
  async press({ id }) {
    await page.evaluate((id) => document.getElementById(id).click(), id);
  },
  async until({ selector, words = "" }) {
    await page.waitForFunction(
      (selector, words) => document.querySelector(selector)?.textContent.includes(words) ?? false,
      { timeout: PATIENCE },
      selector,
      words,
    );
  },
  /** Its way to the engine breaks, and is there again: the generations of the way between the two before and after. */
  async lose_signal() {
    const before = await page.evaluate(() => {
      window.before = { generation: call.generation, lines: call.lines };
      call.forget();
      phone.pusher.disconnect();
      phone.pusher.connect();
      return window.before.generation;
    });
    await page.waitForFunction(() => call.lines > window.before.lines && call.theirTracks.size > 0, { timeout: PATIENCE });
    return [before, await page.evaluate(() => (call.up ? call.generation : 0))];
  },
  /** Keep what its loudspeaker plays of an element's sound, from now on. */
  async listen({ selector }) {
    await page.evaluate(async (selector) => {
      const context = new AudioContext({ sampleRate: 48_000 });
      const recorder =
        "registerProcessor('recorder', class extends AudioWorkletProcessor {" +
        "process([[samples]]) { if (samples) this.port.postMessage(samples.slice()); return true; } });";
      await context.audioWorklet.addModule(URL.createObjectURL(new Blob([recorder], { type: "text/javascript" })));
      const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
      const heard = (window.heard = { blocks: [], quiet: 0, was_loud: false });
      node.port.onmessage = ({ data }) => {
        heard.blocks.push(data);
        const isLoud = data.some((sample) => Math.abs(sample) > 0.01);
        heard.was_loud ||= isLoud;
        heard.quiet = isLoud ? 0 : heard.quiet + data.length;
      };
      context.createMediaStreamSource(document.querySelector(selector).srcObject).connect(node);
    }, selector);
    await page.waitForFunction(() => window.heard.blocks.length > 0, { timeout: PATIENCE });
  },
  /** All of it, once it has been quiet for `seconds` after something was said: 48 kHz, mono, int16, base64. */
  async heard({ seconds }) {
    await page.waitForFunction(
      (seconds) => window.heard.was_loud && window.heard.quiet > seconds * 48_000,
      { timeout: PATIENCE },
      seconds,
    );
    return page.evaluate(async () => {
      const samples = window.heard.blocks.flatMap((block) => [...block]);
      const bytes = new Blob([Int16Array.from(samples, (sample) => sample * 32_767)]);
      const url = await new Promise((resolve) => {
        const reader = new FileReader();
        reader.onload = () => resolve(reader.result);
        reader.readAsDataURL(bytes);
      });
      return url.slice(url.indexOf(",") + 1);
    });
  },
  /** Its screen, until it has shown that many different pictures: their width, height and number. */
  async pictures({ count }) {
    return page.evaluate(async (count) => {
      const video = document.getElementById("theirs");
      const canvas = new OffscreenCanvas(64, 48).getContext("2d", { willReadFrequently: true });
      const seen = new Set();
      while (seen.size < count) {
        await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
        canvas.drawImage(video, 0, 0, 64, 48);
        seen.add(canvas.getImageData(0, 0, 64, 48).data.join());
      }
      return { width: video.videoWidth, height: video.videoHeight, count: seen.size };
    }, count);
  },
};

await listen(({ do: command, ...fields }) => commands[command](fields));
await browser.close();
process.exit(0);
