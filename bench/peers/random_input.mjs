#!/usr/bin/env node
// A pseudo-random batch for a model's first input: random_input.mjs MODEL --output x.npy [--shape 1x3x224x224] [--low 0] [--high 255]
import { firstInput, openSession, parseArgs } from './ort.mjs';
import { writeNpy } from './npy.mjs';

const args = parseArgs(['output', 'shape', 'low', 'high'],
  'usage: random_input.mjs MODEL --output x.npy [--shape 1x3x224x224] [--low -1] [--high 1]');
const { dtype, dims } = firstInput(await openSession(args._[0], 1), args.shape);
if (dtype !== 'float32') throw new Error(`${args._[0]}: the input is ${dtype}, float32 is wanted`);
const low = Number(args.low ?? -1);
const high = Number(args.high ?? 1);
let state = 12345;
const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => low + (high - low) * next());
writeNpy(args.output, { dtype, shape: dims, data });
