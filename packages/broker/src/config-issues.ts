/** What zod finds wrong with a value, in words. */
import type { z } from 'zod';

/** @param example how a mapping is written */
export function describeIssue(issue: z.core.$ZodIssue, example = ''): string {
  switch (issue.code) {
    case 'invalid_type': {
      const names: Record<string, string> = {
        int: 'a whole number',
        number: 'a number',
        boolean: '`true` or `false`',
        array: 'a list',
        object: `a mapping, as in \`${example}\``,
      };
      return `must be ${names[issue.expected] ?? (issue.expected === 'string' ? 'text (in quotes, where YAML reads something else)' : issue.expected)}`;
    }
    case 'too_small':
      return `must be at least ${issue.minimum}${unitOf(issue.origin)}`;
    case 'too_big':
      return `must be at most ${issue.maximum}${unitOf(issue.origin)}`;
    case 'invalid_value':
      return `must be ${issue.values.map((value) => `\`${String(value)}\``).join(' or ')}`;
    default:
      return issue.message;
  }
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters long';
  return origin === 'array' ? ' elements long' : '';
}

/** A step of a path below a key: an element of a list, or a field of one. */
export function shownStep(step: PropertyKey): string {
  return typeof step === 'number' ? `[${step}]` : `.${String(step)}`;
}
