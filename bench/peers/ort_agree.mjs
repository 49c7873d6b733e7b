#!/usr/bin/env node
// Whether ONNX Runtime decides as eke does on a prepared batch: the share of images with the same top-1, and both accuracies; exit 1
// where fewer agree than --agree (0.99) or the accuracies differ by more than --within (0.005):
// ort_agree.mjs MODEL --input x.npy --ours scores.npy --labels labels.txt [--offset N] [--threads N] [--agree 0.99] [--within 0.005]
// labels.txt holds one class number a line; --offset is added to it (networks with a background class: 1). --optimization is ONNX Runtime's
// level: basic leaves each operator as it is.
import fs from 'node:fs';
import path from 'node:path';
import { ort, openSession, parseArgs, tensorFromNpy } from './ort.mjs';
import { readNpy } from './npy.mjs';

const args = parseArgs(['input', 'ours', 'labels', 'offset', 'threads', 'agree', 'within', 'optimization'],
  'usage: ort_agree.mjs MODEL --input x.npy --ours scores.npy --labels labels.txt [--offset N] [--agree 0.99] [--within 0.005] [--optimization all]');
const session = await openSession(args._[0], Number(args.threads ?? 1), args.optimization ?? 'all');
const input = tensorFromNpy(args.input);
const ours = readNpy(args.ours);
const labels = fs.readFileSync(args.labels, 'utf8').trim().split('\n').map((line) => Number(line) + Number(args.offset ?? 0));
const images = input.dims[0], row = input.size / images, classes = ours.data.length / images;
if (labels.length !== images || !Number.isInteger(classes)) throw new Error(`${images} images, ${labels.length} labels, ${ours.data.length} scores`);

const best = (scores) => scores.reduce((top, score, i) => (score > scores[top] ? i : top), 0);
let same = 0, rightOurs = 0, rightTheirs = 0;
for (let i = 0; i < images; i++) {
  const one = new ort.Tensor(input.type, input.data.subarray(i * row, (i + 1) * row), [1, ...input.dims.slice(1)]);
  const theirs = best((await session.run({ [session.inputNames[0]]: one }))[session.outputNames[0]].data);
  const mine = best(ours.data.subarray(i * classes, (i + 1) * classes));
  same += mine === theirs;
  rightOurs += mine === labels[i];
  rightTheirs += theirs === labels[i];
}
const percent = (count) => `${((100 * count) / images).toFixed(2)} %`;
const good = same >= Number(args.agree ?? 0.99) * images && Math.abs(rightOurs - rightTheirs) <= Number(args.within ?? 0.005) * images;
console.log(`${path.basename(args._[0])}: same top-1 on ${same} of ${images} images (${percent(same)}); accuracy eke ${percent(rightOurs)}, ` +
  `ONNX Runtime ${percent(rightTheirs)}${good ? '' : ' APART'}`);
process.exit(good ? 0 : 1);
