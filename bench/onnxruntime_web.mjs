// Times the models of a folder that `entangle measure MODEL --pieces DIR` wrote, on
// onnxruntime-web (WebAssembly) or onnxruntime-node, turn by turn, and prints the table that
// --latency-table takes.
//
//   npm install onnxruntime-web
//   node onnxruntime_web.mjs DIR [--package onnxruntime-web] [--threads 1] [--rounds 15] > table.csv
//
// A time is the smallest of a model's turns. Models are timed in sets, the original with each.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const args = process.argv.slice(2);
const option = (name, otherwise) => {
  const at = args.indexOf("--" + name);
  return at < 0 ? otherwise : args.splice(at, 2)[1];
};
const name = option("package", "onnxruntime-web");
const threads = Number(option("threads", "1"));
const rounds = Number(option("rounds", "15"));
const together = Number(option("together", "12"));
if (args.length !== 1 || !(threads >= 1) || !(rounds >= 1) || !(together >= 1)) {
  console.error("usage: node onnxruntime_web.mjs DIR [--package NAME] [--threads N] [--rounds N]");
  process.exit(2);
}
const dir = args[0];
// The package is looked for beside where the command runs.
const require = createRequire(pathToFileURL(resolve("package.json")));
const ort = require(name);
if (ort.env?.wasm) ort.env.wasm.numThreads = threads;
const session = { executionProviders: [name === "onnxruntime-web" ? "wasm" : "cpu"], intraOpNumThreads: threads, interOpNumThreads: 1, graphOptimizationLevel: "all" };
const list = JSON.parse(readFileSync(join(dir, "manifest.json")));
if (list.version !== 1) throw new Error(`${dir}: want a manifest of version 1, got ${list.version}`);

const arrays = { float32: Float32Array, float64: Float64Array, int64: BigInt64Array, int32: Int32Array, uint8: Uint8Array, int8: Int8Array, bool: Uint8Array };
function feed(inputs) {
  const out = {};
  for (const { name, type, shape } of inputs) {
    if (!arrays[type]) throw new Error(`input ${name}: no values of ${type}`);
    const data = new arrays[type](shape.reduce((a, b) => a * b, 1));
    if (type.startsWith("float")) for (let i = 0; i < data.length; i++) data[i] = 0.1 + 0.9 * Math.random();
    out[name] = new ort.Tensor(type, data, shape);
  }
  return out;
}
async function open(item) {
  const s = await ort.InferenceSession.create(readFileSync(join(dir, item.file)), session);
  return { item, s, in: feed(item.inputs), best: Infinity };
}

const one = (use) => list.files.find((f) => f.use === use);
const fixed = ["original", "again", "nothing"].map(one);
const rest = list.files.filter((f) => !fixed.includes(f));
const keep = await Promise.all(fixed.map(open));
console.log(`# runtime: ${name} ${ort.env?.versions?.common ?? ""}, ${threads} thread${threads > 1 ? "s" : ""}, Node ${process.version}`);
console.log("id,milliseconds");
for (let i = 0; i < rest.length; i += together) {
  const some = [];
  for (const item of rest.slice(i, i + together)) some.push(await open(item));
  for (let round = 0; round <= rounds; round++) {
    for (const m of [...keep, ...some]) {
      for (let k = 0; k < 3; k++) {
        const start = performance.now();
        await m.s.run(m.in);
        const took = performance.now() - start;
        if (round > 0) m.best = Math.min(m.best, took);
      }
    }
  }
  for (const m of some) {
    console.log(`${m.item.id},${Math.max(m.best, 1e-6)}`);
    await m.s.release?.();
  }
  console.error(`${Math.min(i + together, rest.length)} of ${rest.length}`);
}
for (const m of keep) console.log(`${m.item.id},${Math.max(m.best, 1e-6)}`);
