// What the oracles and the tests read: constructs (small templates over one set of variables) and
// conversations (every template of the folder with every one of them).
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
export const corpusDir = join(here, '../../../model/src/test/resources/chat-templates');

const json = (name) => JSON.parse(readFileSync(join(corpusDir, name), 'utf8'));

/** Sections of `constructs.txt`: a line `=== name`, then the template up to the next such line. */
function constructs() {
  const parts = readFileSync(join(corpusDir, 'constructs.txt'), 'utf8').split(/^=== (.+)\n/m).slice(1);
  const sections = [];
  for (let i = 0; i < parts.length; i += 2) {
    sections.push({ name: parts[i], template: parts[i + 1].replace(/\n$/, '') });
  }
  return sections;
}

/** Groups of cases; a group is one recorded file. */
export function groups() {
  const variables = json('variables.json');
  const conversations = json('conversations.json');
  const found = [{ name: 'constructs', cases: constructs().map((c) => ({ ...c, variables })) }];
  for (const file of readdirSync(join(corpusDir, 'templates')).sort()) {
    const template = readFileSync(join(corpusDir, 'templates', file), 'utf8');
    const cases = Object.entries(conversations).map(([name, given]) => ({ name, template, variables: given }));
    found.push({ name: file.replace(/\.jinja$/, ''), cases });
  }
  return found;
}
