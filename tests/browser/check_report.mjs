// Opens a report in headless Chromium as a person would, from the disk: check_report.mjs report.html [FOLDER]
// Fails where the page asks the network for anything, prints to the console, leaves a chart undrawn, is wider than a
// phone, or is no valid HTML. With FOLDER, leaves screenshots of it there: light, dark, phone, and print as PDF.
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { HtmlValidate } from 'html-validate';
import puppeteer from 'puppeteer-core';

const [report, folder] = process.argv.slice(2);
if (!report) {
  console.error('usage: check_report.mjs report.html [FOLDER]');
  process.exit(2);
}
const failures = [];
const expect = (holds, text) => { if (!holds) failures.push(text); };

const size = statSync(report).size;
expect(size < 2e6, `${size} bytes: more than 2 MB`);

const validated = await new HtmlValidate({ extends: ['html-validate:recommended'] })
  .validateString(readFileSync(report, 'utf8'));
for (const result of validated.results)
  for (const message of result.messages.slice(0, 20))
    failures.push(`line ${message.line}: ${message.message} (${message.ruleId})`);

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
try {
  const page = await browser.newPage();
  page.on('console', message => failures.push(`console: ${message.text()}`));
  page.on('pageerror', error => failures.push(`script: ${error.message}`));
  page.on('dialog', async dialog => { failures.push(`dialog: ${dialog.message()}`); await dialog.dismiss(); });
  page.on('request', request => {
    if (request.url().startsWith('data:image/png;')) return;  // a picture inside the page
    if (!request.url().startsWith('file:') || request.resourceType() !== 'document')
      failures.push(`request: ${request.url().slice(0, 100)}`);
  });
  const url = pathToFileURL(resolve(report)).href;

  const look = async (name, width, height, scheme) => {
    await page.setViewport({ width, height });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.goto(url, { waitUntil: 'load' });
    const seen = await page.evaluate(() => {
      const canvases = [...document.querySelectorAll('canvas')];
      const inked = canvas => canvas.width > 0 && canvas.height > 0 &&
        canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(byte => byte !== 0);
      return {
        charts: canvases.length,
        blank: canvases.filter(canvas => !inked(canvas)).map(canvas => canvas.id),
        error: document.documentElement.dataset.error,
        overflow: document.documentElement.scrollWidth - window.innerWidth,
        tables: document.querySelectorAll('table').length,
      };
    });
    expect(seen.charts > 0, `${name}: no chart`);
    expect(seen.blank.length === 0, `${name}: charts not drawn: ${seen.blank}`);
    expect(!seen.error, `${name}: ${seen.error}`);
    expect(seen.overflow <= 0, `${name}: ${seen.overflow} pixels wider than the window`);
    expect(seen.tables >= seen.charts, `${name}: ${seen.charts} charts, ${seen.tables} tables`);
    if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
    return seen;
  };
  const { charts, tables } = await look('light', 1200, 900, 'light');
  await look('dark', 1200, 900, 'dark');
  await look('phone', 390, 844, 'light');
  if (folder) {
    await look('before-print', 1200, 900, 'dark');
    await page.pdf({ path: `${folder}/print.pdf`, format: 'A4', printBackground: false });
  }
  console.log(`${report}: ${size} bytes, ${charts} charts, ${tables} tables`);
} finally {
  await browser.close();
}
failures.forEach(text => console.error(text));
process.exit(failures.length ? 1 : 0);
