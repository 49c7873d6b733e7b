// The lines of ort_start.mjs, from standard input, as a Markdown table.
import fs from 'node:fs';

const rows = fs.readFileSync(0, 'utf8').trim().split('\n').filter(Boolean).map((line) => JSON.parse(line));
console.log('| network | eke ms | ONNX Runtime ms | ratio | eke MB | ONNX Runtime MB | ratio |');
console.log('| --- | --- | --- | --- | --- | --- | --- |');
for (const r of rows) {
  console.log(`| ${r.model} | ${r.eke.ms.toFixed(0)} | ${r.ort.ms.toFixed(0)} | ${(r.ort.ms / r.eke.ms).toFixed(2)} | ` +
    `${r.eke.mb.toFixed(0)} | ${r.ort.mb.toFixed(0)} | ${(r.ort.mb / r.eke.mb).toFixed(2)} |`);
}
