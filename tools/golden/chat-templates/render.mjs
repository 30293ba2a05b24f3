// Renders the corpus with @huggingface/jinja and records what comes out: recorded/<group>.json.
//   npm install --no-package-lock && node render.mjs
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Template } from '@huggingface/jinja';
import { corpusDir, groups } from './corpus.mjs';

// strftime_now of both oracles and of the tests reads this moment
const now = new Date(2024, 6, 6, 9, 5, 3);
globalThis.Date = class extends Date {
  constructor(...given) {
    super(...(given.length === 0 ? [now.getTime()] : given));
  }
};

// as transformers sets them for every model
const specialTokens = { bos_token: '<s>', eos_token: '</s>' };

function render({ template, variables }) {
  try {
    return { text: new Template(template).render({ ...specialTokens, ...structuredClone(variables) }) };
  } catch (refused) {
    return { error: refused.message };
  }
}

mkdirSync(join(corpusDir, 'recorded'), { recursive: true });
for (const group of groups()) {
  const recorded = Object.fromEntries(group.cases.map((c) => [c.name, render(c)]));
  writeFileSync(join(corpusDir, 'recorded', `${group.name}.json`), JSON.stringify(recorded, null, 1) + '\n');
}
