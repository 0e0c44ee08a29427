/** Reports an unknown command like any other wrong command line. */

import type { Hook } from '@oclif/core';
import { reportUnknownCommand } from '../error-report.ts';

const commandNotFound: Hook.CommandNotFound = async ({ id, argv, config }) => {
  const topic = id.split(':').slice(0, -1).join(':');
  const isTopic = config.topics.some(({ name }) => name === topic);
  process.exit(
    reportUnknownCommand(id, {
      json: argv?.includes('--json') ?? false,
      help: isTopic ? topic : '',
    }),
  );
};

export default commandNotFound;
