// The lines of ort_speed.mjs, from standard input, as a Markdown table.
import fs from 'node:fs';

const rows = fs.readFileSync(0, 'utf8').trim().split('\n').filter(Boolean).map((line) => JSON.parse(line));
const ms = (x) => x.toFixed(x < 10 ? 3 : 1);
console.log('| network | eke least (median) ms | ONNX Runtime least (median) ms | int8, float | ratio of medians (p10 to p90) | of least times |');
console.log('| --- | --- | --- | --- | --- | --- |');
for (const r of rows) {
  console.log(`| ${r.model} | ${ms(r.eke_ms.least)} (${ms(r.eke_ms.median)}) | ${ms(r.ort_ms.least)} (${ms(r.ort_ms.median)}) | ` +
    `${r.ort_int8}, ${r.ort_float} | ${r.ratio.median.toFixed(2)} (${r.ratio.p10.toFixed(2)} to ${r.ratio.p90.toFixed(2)}) | ${r.ratio.of_least.toFixed(2)} |`);
}
