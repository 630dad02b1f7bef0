/** One complaint about the configuration, placed as exactly as the source allows. */
export interface ConfigIssue {
  /** the file as it was named, or "command line" */
  readonly file: string;
  /** from 1; absent when the key isn't in the file */
  readonly line?: number;
  readonly column?: number;
  /** such as "ports[0].sourcePorts"; absent for the file as a whole */
  readonly key?: string;
  readonly message: string;
}

/** The configuration was refused; `message` has one line per issue. */
export class ConfigError extends Error {
  readonly issues: readonly ConfigIssue[];

  constructor(issues: readonly ConfigIssue[]) {
    super(issues.map(issueText).join('\n'));
    this.name = 'ConfigError';
    this.issues = issues;
  }
}

function issueText(issue: ConfigIssue): string {
  const place = [issue.file, issue.line, issue.column].filter((part) => part !== undefined);
  const key = issue.key === undefined || issue.key === '' ? '' : `${issue.key}: `;
  return `${place.join(':')}: ${key}${issue.message}`;
}

/** ["ports", 0, "name"] as "ports[0].name". */
export function keyText(keys: readonly PropertyKey[]): string {
  let text = '';
  for (const key of keys) {
    if (typeof key === 'number') text += `[${key}]`;
    else text += text === '' ? String(key) : `.${String(key)}`;
  }
  return text;
}
