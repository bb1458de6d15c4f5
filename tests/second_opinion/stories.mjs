// Plays the stories in aws-local-stepfunctions, and validates the definitions with asl-validator:
//     node stories.mjs FOLDER_WITH_NODE_MODULES < {"definitions": {...}, "stories": {...}}
// Prints {"validation": {machine: [...]}, "ends": {story: {...}}}.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

// Node.js 20 has no Promise.withResolvers.
Promise.withResolvers ??= () => {
  let resolve, reject;
  const promise = new Promise((a, b) => { resolve = a; reject = b; });
  return { promise, resolve, reject };
};
// A Map that fails leaves promises of its other items behind.
process.on('unhandledRejection', () => {});

const require = createRequire(`${process.argv[2]}/`);
const { StateMachine } = require('aws-local-stepfunctions');
const validate = require('asl-validator');
const { definitions, stories } = JSON.parse(readFileSync(0, 'utf8'));

async function play({ machine, given, functions }) {
  const calls = [], handlers = {}, noWaits = {};
  for (const [name, answers] of Object.entries(functions)) {
    let count = 0;
    noWaits[name] = 0;
    handlers[name] = async event => {
      calls.push([name, JSON.parse(JSON.stringify(event))]);
      const answer = answers[Math.min(count++, answers.length - 1)];
      if (answer.raise) throw Object.assign(new Error(answer.raise[1]), { name: answer.raise[0] });
      return answer.return;
    };
  }
  const overrides = {
    taskResourceLocalHandlers: handlers, retryIntervalOverrides: noWaits, waitTimeOverrides: { MakeRoom: 0 },
  };
  try {
    const output = await new StateMachine(definitions[machine]).run(given, { overrides }).result;
    return { status: 'SUCCEEDED', error: null, cause: null, output, calls };
  } catch (error) {
    return { status: 'FAILED', error: error.name, cause: error.message, output: null, calls };
  }
}

const validation = {}, ends = {};
for (const [name, definition] of Object.entries(definitions)) {
  const { isValid, errors } = (validate.default ?? validate)(definition);
  validation[name] = isValid ? [] : errors.map(one => JSON.stringify(one));
}
for (const [name, story] of Object.entries(stories)) ends[name] = await play(story);
process.stdout.write(JSON.stringify({ validation, ends }));
