/** Failures that the API answers with: HTTP status, title, and whether the same request may succeed later. */
export const catalogue = {
  INVALID_REQUEST: { status: 400, title: 'The request is not valid', retryable: false },
  UNAUTHENTICATED: { status: 401, title: 'Who is it?', retryable: false },
  FORBIDDEN: { status: 403, title: 'This token may not', retryable: false },
  NOT_FOUND: { status: 404, title: 'There is no such thing', retryable: false },
  METHOD_NOT_ALLOWED: { status: 405, title: 'Not with this method', retryable: false },
  CONFLICT: { status: 409, title: 'It clashes with another pool', retryable: false },
  AGENT_OTHER_MACHINE: { status: 409, title: 'Another machine has this name', retryable: false },
  REQUEST_TIMEOUT: { status: 408, title: 'The request came too slowly', retryable: true },
  REVISION_MISMATCH: { status: 412, title: 'It was changed in between', retryable: false },
  BODY_TOO_LARGE: { status: 413, title: 'The body is too large', retryable: false },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, title: 'The body must be JSON', retryable: false },
  TOO_MANY_REQUESTS: { status: 429, title: 'Too many requests', retryable: true },
  INTERNAL: { status: 500, title: 'The controller failed', retryable: true },
  NOT_READY: { status: 503, title: 'The controller is not ready', retryable: true },
  STATE_NOT_SAVED: { status: 507, title: 'The change could not be saved', retryable: true },
} as const;

export type ApiCode = keyof typeof catalogue;

/** One wrong field of a request and what would be right. */
export interface FieldError {
  /** Dotted path from the body's root; "" is the body itself. */
  path: string;
  message: string;
}

/** A failure with a stable code. `exitCode` is what a program ends with when it cannot go on (README, exit codes). */
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

/** A request that is refused, with the fields that are wrong. */
export class RequestError extends CodedError {
  readonly fields: FieldError[];

  constructor(code: ApiCode, message: string, fields: FieldError[] = []) {
    super(code, message);
    this.fields = fields;
  }
}
