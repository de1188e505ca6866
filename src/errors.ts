/** A failure with a stable code. `exitCode` is what a program ends with when it cannot go on (DESIGN.md, Files and flags). */
export class CodedError extends Error {
  readonly code: string;
  readonly exitCode: 1 | 2 | 3;

  constructor(code: string, message: string, exitCode: 1 | 2 | 3 = 1, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CodedError';
    this.code = code;
    this.exitCode = exitCode;
  }
}
