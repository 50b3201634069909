// What a program under Node and the test that started it say to each other: commands come as lines of JSON on stdin,
// reports and answers go out as lines of JSON on stdout. It is over when stdin is.
import { createInterface } from "node:readline";

export function report(message) {
  process.stdout.write(JSON.stringify(message) + "\n");
}

/** Have every command obeyed, and answer what comes of it. */
export async function listen(obey) {
  report({ what: "ready" });
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      report({ what: "answer", answer: (await obey(JSON.parse(line))) ?? null });
    } catch (error) {
      report({ what: "answer", failure: String(error) });
    }
  }
}
