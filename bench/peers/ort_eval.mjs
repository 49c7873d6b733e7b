#!/usr/bin/env node
// Top-1 accuracy and predictions of a classifier in ONNX Runtime on a prepared batch:
// ort_eval.mjs MODEL --input x.npy --labels labels.txt [--offset N] [--threads N] [--batch N] [--predictions out.txt]
// labels.txt holds one class number a line; --offset is added to it (networks with a background class: 1).
import fs from 'node:fs';
import { ort, openSession, parseArgs, tensorFromNpy } from './ort.mjs';

const args = parseArgs(['input', 'labels', 'offset', 'threads', 'batch', 'predictions'],
  'usage: ort_eval.mjs MODEL --input x.npy --labels labels.txt [--offset N] [--batch N] [--predictions out.txt]');
const session = await openSession(args._[0], Number(args.threads ?? 1));
const input = tensorFromNpy(args.input);
const labels = fs.readFileSync(args.labels, 'utf8').trim().split('\n').map(Number);
const step = Number(args.batch ?? 1);
const row = input.size / input.dims[0];
const predictions = [];
for (let at = 0; at < input.dims[0]; at += step) {
  const count = Math.min(step, input.dims[0] - at);
  const batch = new ort.Tensor(input.type, input.data.subarray(at * row, (at + count) * row), [count, ...input.dims.slice(1)]);
  const out = (await session.run({ [session.inputNames[0]]: batch }))[session.outputNames[0]];
  const width = out.size / count;
  for (let i = 0; i < count; i++) {
    let best = 0;
    for (let j = 1; j < width; j++) if (out.data[i * width + j] > out.data[i * width + best]) best = j;
    predictions.push(best);
  }
}
if (args.predictions) fs.writeFileSync(args.predictions, predictions.join('\n') + '\n');
const hits = predictions.filter((p, i) => p === labels[i] + Number(args.offset ?? 0)).length;
console.log(JSON.stringify({ model: args._[0], images: predictions.length, correct: hits, top1: hits / predictions.length }));
