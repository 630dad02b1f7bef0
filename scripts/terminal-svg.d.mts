// Types for the test, which is TypeScript.
export interface Run {
  readonly text: string;
  readonly colour: string;
  readonly bold: boolean;
  readonly background: string | undefined;
}
export function lastScreen(output: string): string[];
export function runsOf(line: string): Run[];
export function terminalSvg(lines: readonly string[], columns: number, title: string): string;
