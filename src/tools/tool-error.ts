/** How a command ends other than well: what to tell the person, and the exit code. */
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/** An operating error whose message is all that the person needs; no stack is printed. */
export class ToolError extends Error {
  override readonly name = 'ToolError';

  constructor(
    message: string,
    readonly exitCode: number = EXIT_FAILED,
  ) {
    super(message);
  }
}

/** The command was called wrongly: exit code 2. */
export function usageError(message: string): ToolError {
  return new ToolError(message, EXIT_USAGE);
}
