#!/usr/bin/env node
// Relative error of eke's raw outputs (FOLDER/<output>.npy) against ONNX Runtime on the same batch; exit 1 above the limit:
// ort_compare.mjs MODEL --input x.npy --ours FOLDER [--limit 1e-4]
import fs from 'node:fs';
import path from 'node:path';
import { openSession, parseArgs, tensorFromNpy } from './ort.mjs';
import { readNpy } from './npy.mjs';

const args = parseArgs(['input', 'ours', 'limit'], 'usage: ort_compare.mjs MODEL --input x.npy --ours FOLDER [--limit 1e-4]');
const session = await openSession(args._[0], 1);
const outputs = await session.run({ [session.inputNames[0]]: tensorFromNpy(args.input) });
const limit = Number(args.limit ?? 1e-4);
const fileOf = (name) => path.join(args.ours, `${name.replace(/[^A-Za-z0-9_.-]/g, '_')}.npy`);
let failed = false;
for (const name of session.outputNames) {
  const theirs = outputs[name];
  const ours = readNpy(fileOf(name));
  let scale = 0, error = ours.data.length === theirs.size ? 0 : Infinity;
  for (let i = 0; i < theirs.size && error !== Infinity; i++) {
    scale = Math.max(scale, Math.abs(theirs.data[i]));
    const difference = Math.abs(ours.data[i] - theirs.data[i]);
    error = Number.isNaN(difference) ? Infinity : Math.max(error, difference);
  }
  const relative = scale > 0 ? error / scale : error;
  if (!(relative < limit)) failed = true;
  console.log(`${path.basename(args._[0])} ${name} ${theirs.dims.join('x')} relative error ${relative.toExponential(2)}${relative < limit ? '' : ' ABOVE THE LIMIT'}`);
}
process.exit(failed ? 1 : 0);
