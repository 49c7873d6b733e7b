#!/usr/bin/env node
// Raw outputs of a model in ONNX Runtime on a batch: ort_run.mjs MODEL --input x.npy --output y.npy
//   [--name OUTPUT] [--threads N] [--batch N] [--optimization disabled|basic|extended|all]
// A batch that the model does not take whole is fed in parts of --batch (default: the model's own, else all).
import { ort, openSession, parseArgs, tensorFromNpy } from './ort.mjs';
import { writeNpy } from './npy.mjs';

const args = parseArgs(['input', 'output', 'name', 'threads', 'batch', 'optimization'],
  'usage: ort_run.mjs MODEL --input x.npy --output y.npy [--name OUTPUT] [--threads N] [--batch N]');
const session = await openSession(args._[0], Number(args.threads ?? 1), args.optimization);
const input = tensorFromNpy(args.input);
const fixed = session.inputMetadata?.[0]?.shape?.[0];
const total = input.dims[0];
const step = Number(args.batch ?? (typeof fixed === 'number' && fixed > 0 ? fixed : total));
const row = input.size / total;
const name = args.name ?? session.outputNames[0];
const parts = [];
for (let at = 0; at < total; at += step) {
  const count = Math.min(step, total - at);
  const batch = new ort.Tensor(input.type, input.data.subarray(at * row, (at + count) * row), [count, ...input.dims.slice(1)]);
  parts.push((await session.run({ [session.inputNames[0]]: batch }))[name]);
}
const data = new parts[0].data.constructor(parts.reduce((sum, part) => sum + part.size, 0));
let at = 0;
for (const part of parts) { data.set(part.data, at); at += part.size; }
const rows = parts.reduce((sum, part) => sum + (part.dims[0] ?? 1), 0);
writeNpy(args.output, { dtype: parts[0].type, shape: [rows, ...parts[0].dims.slice(1)], data });
