// Drives the page in Debian's Chromium: node page.mjs SCENARIO URL FOLDER [ARGUMENT]
//
// Prints "ready" once the page is looked at, and ends with 0 if all was seen. Pictures go to FOLDER.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [scenario, url, folder, argument] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const complaints = [];
/** What a refusal makes the browser say itself, at any time after it. */
const isExpected = (text) => scenario === "token" && text.includes("401");

async function open(options = {}) {
  const page = await browser.newPage({ viewport: { width: 1180, height: 900 }, ...options });
  page.setDefaultTimeout(60_000);
  page.on("console", (message) => { if (message.type() === "error" && !isExpected(message.text())) complaints.push(message.text()); });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) complaints.push(`a request to ${request.url()}`);
  });
  await page.goto(url);
  return page;
}

async function shown(page) {
  await page.locator("#content").waitFor();
  await page.locator("#state", { hasText: "as of" }).waitFor();
}

/** The engine runs beside the page's own scripts, as its policy lets nothing else in. */
async function checkAccess(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  for (const one of violations) complaints.push(`axe, ${name}: ${one.id}: ${one.help}: ${one.nodes[0].html}`);
}

const row = (page, path) => page.locator("#files tr", { hasText: path });
const trouble = (page, path) => page.locator("#trouble li", { hasText: path });

const scenarios = {
  /** A file arrives, moves and is delivered, and nobody touches the page; then its batch is looked into. */
  async arrives() {
    const page = await open();
    await shown(page);
    console.log("ready");
    await row(page, argument).waitFor();
    await page.locator("#running progress").waitFor();
    await page.screenshot({ path: `${folder}/running.png` });
    await row(page, argument).locator(".successful").waitFor();
    await page.locator("#running-part").waitFor({ state: "hidden" });
    await page.locator("#activity", { hasText: "1 file" }).waitFor();
    await page.locator("#batches button", { hasText: ".control.json" }).click();
    await page.locator("#story-facts", { hasText: "1 file, 3.0 MiB" }).waitFor();
    await page.locator("#story-rows button", { hasText: argument }).click();
    await page.locator("#story-title", { hasText: argument }).waitFor();
    await page.locator("#story-rows .successful").waitFor();
  },
  /** A failure, retried by keyboard. */
  async retries() {
    const page = await open();
    await shown(page);
    const item = trouble(page, argument);
    await item.waitFor();
    await item.locator("button", { hasText: "Retry" }).focus();
    await page.keyboard.press("Enter");
    await page.locator("#toast", { hasText: "pending again" }).waitFor();
    await item.waitFor({ state: "detached" });
  },
  /** What is held is released; another is deleted only after a question. */
  async releases() {
    const page = await open();
    await shown(page);
    const [good, bad] = argument.split(",");
    await trouble(page, good).locator("button", { hasText: "Release" }).click();
    await trouble(page, good).waitFor({ state: "detached" });
    await trouble(page, bad).locator("button", { hasText: "Delete" }).click();
    await page.locator("#ask-no").click();
    await trouble(page, bad).waitFor();
    await trouble(page, bad).locator("button", { hasText: "Delete" }).click();
    await page.locator("#ask-yes").click();
    await trouble(page, bad).waitFor({ state: "detached" });
    await page.locator("#calm").waitFor();
  },
  /** Late files and a destination that is away: the worst first, with what to do, and gone when it is over. */
  async waits() {
    const page = await open();
    await shown(page);
    const items = page.locator("#trouble li");
    await items.nth(7).waitFor();
    for (const [nth, ...texts] of [
      [0, "1 row cannot be read", "ferry doctor", "damaged"],
      [1, "1 row of transfer_logs", "ferry doctor", "incomplete"],
      [2, "b", "refused", "the next run of an agent tries again", "ferry doctor", "unreachable"],
      [3, "orders", "3 files */orders-*.csv, due", "2 landed, 0 at every destination",
        "Ask who sends the others: they have not reached landing area in.", "late"],
      [4, "stock", "1 file partner-1/stock.csv, due", "12:00 AM GMT+", "Not at b yet; b cannot be reached, see above.", "late"],
      [5, "partner-3/orders-2.csv", "failed"],
      [6, "prices.csv", "1 delivered file could not be archived or deleted", "not taken away"],
      [7, "photo.jpg", "quarantined"]]) {
      const text = await items.nth(nth).innerText();
      for (const one of texts) if (!text.includes(one)) complaints.push(`no '${one}' in '${text}'`);
    }
    for (const [name, state] of [["orders", "late"], ["stock", "late"], ["prices", "came late"]]) {
      await page.locator("#expected tr", { hasText: name }).locator(".mark", { hasText: state }).waitFor();
    }
    console.log("ready");
    await trouble(page, "unreachable").waitFor({ state: "detached" });
    await trouble(page, "stock").waitFor({ state: "detached" });
    await page.locator("#expected tr", { hasText: "stock" }).locator(".mark", { hasText: "came late" }).waitFor();
  },
  /** One of many, by a part of its name; and its story. */
  async finds() {
    const page = await open();
    await shown(page);
    await page.fill("#q", argument);
    while (await page.locator("#files tr").count() !== 1) await page.waitForTimeout(50);
    await row(page, argument).locator("button").click();
    await page.locator("#story[open]").waitFor();
    await page.locator("#story-facts", { hasText: "sha256:" }).waitFor();
    await page.keyboard.press("Escape");
    await page.locator("#story[open]").waitFor({ state: "detached" });
  },
  /** The token opens the page, and is kept nowhere. */
  async token() {
    const [reader, nobody] = argument.split(",");
    const page = await open();
    await page.locator("#login").waitFor();
    await page.fill("#token", nobody);
    await page.keyboard.press("Enter");
    await page.locator("#login-error", { hasText: "not known" }).waitFor();
    await page.fill("#token", reader);
    await page.keyboard.press("Enter");
    await shown(page);
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
    if (kept !== '[{},{},""]') complaints.push(`kept: ${kept}`);
    if (await page.locator("button", { hasText: /Retry|Release|Delete…/ }).count()) complaints.push("a reader may manage");
    await page.reload();
    await page.locator("#login").waitFor();
  },
  /** Pictures: light, dark and on a telephone. */
  async pictures() {
    const looks = { light: {}, dark: { colorScheme: "dark" },
      phone: { viewport: { width: 390, height: 844 }, isMobile: true, deviceScaleFactor: 2 } };
    for (const [name, look] of Object.entries(looks)) {
      const page = await open(look);
      await shown(page);
      await page.screenshot({ path: `${folder}/${argument}-${name}.png`, fullPage: name === "phone" });
      await checkAccess(page, `${argument} ${name}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      if (wide) complaints.push(`${name}: the page is wider than the window`);
      await page.close();
    }
  },
};

try {
  await scenarios[scenario]();
} catch (error) {
  complaints.push(String(error));
}
await browser.close();
for (const complaint of complaints) console.error(complaint);
process.exit(complaints.length ? 1 : 0);
