// Runs CloudFront Functions: one JSON line in, one JSON line out. Only what their runtime has is within reach.
'use strict';
const vm = require('node:vm');
const readline = require('node:readline');
const made = new Map();

function functionOf(code) {
  if (!made.has(code)) {
    const context = vm.createContext({ console: { log() {} } });
    made.set(code, vm.runInContext(`${code}\n;handler`, context, { timeout: 1000 }));
  }
  return made.get(code);
}

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const { code, event } = JSON.parse(line);
  let answer;
  try {
    answer = { result: await functionOf(code)(event) };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
