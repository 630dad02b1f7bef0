/**
 * Operating errors: one table of codes, one class that crosses layers, and one reusable
 * object for the flat path, where nothing is thrown. Conversion to gRPC or PFCP happens at
 * the edge only, by the columns of the table. Pure; any thread.
 */

interface ErrorEntry {
  /** Used when the thrower has nothing better to say. */
  readonly message: string;
  /** google.rpc.Code */
  readonly grpcStatus: number;
  /** Cause value, TS 29.244 clause 8.2.1 */
  readonly pfcpCause: number;
  /** The same request may succeed later without any change to it. */
  readonly retryable: boolean;
}

const table = {
  invalid_argument: {
    message: 'the request is not valid',
    grpcStatus: 3,
    pfcpCause: 69,
    retryable: false,
  },
  deadline_exceeded: {
    message: 'the operation did not finish in time',
    grpcStatus: 4,
    pfcpCause: 77,
    retryable: true,
  },
  not_found: {
    message: 'there is no such session',
    grpcStatus: 5,
    pfcpCause: 65,
    retryable: false,
  },
  already_exists: {
    message: 'another session has this already',
    grpcStatus: 6,
    pfcpCause: 73,
    retryable: false,
  },
  permission_denied: {
    message: 'the caller may not do this',
    grpcStatus: 7,
    pfcpCause: 64,
    retryable: false,
  },
  resource_exhausted: {
    message: 'a limit of this node is reached',
    grpcStatus: 8,
    pfcpCause: 75,
    retryable: true,
  },
  failed_precondition: {
    message: 'the node is not in a state that allows this',
    grpcStatus: 9,
    pfcpCause: 64,
    retryable: false,
  },
  aborted: {
    message: 'the session has changed since it was read',
    grpcStatus: 10,
    pfcpCause: 64,
    retryable: true,
  },
  unimplemented: {
    message: 'this is not implemented',
    grpcStatus: 12,
    pfcpCause: 76,
    retryable: false,
  },
  internal: {
    message: 'the node failed; its log says more',
    grpcStatus: 13,
    pfcpCause: 77,
    retryable: false,
  },
  unavailable: {
    message: 'the node cannot serve this now; try again',
    grpcStatus: 14,
    pfcpCause: 74,
    retryable: true,
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof table;
export const ERRORS: Readonly<Record<ErrorCode, ErrorEntry>> = table;

/** An operating error: handled and reported, never a defect of the program. */
export class SluiceError extends Error {
  override readonly name = 'SluiceError';
  /** Path of the field at fault such as `session.pdrs[2].far_id`; '' when it is none. */
  readonly field: string;
  /** already_exists: SEID of the session that has the TEID or address at fault; 0n: not known. */
  readonly holder: bigint;

  constructor(
    readonly code: ErrorCode,
    message: string = ERRORS[code].message,
    options: { readonly field?: string; readonly cause?: unknown; readonly holder?: bigint } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.field = options.field ?? '';
    this.holder = options.holder ?? 0n;
  }

  get grpcStatus(): number {
    return ERRORS[this.code].grpcStatus;
  }
  get pfcpCause(): number {
    return ERRORS[this.code].pfcpCause;
  }
  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }

  /** Anything that was caught as a SluiceError; what is not one is a defect: internal. */
  static of(error: unknown): SluiceError {
    if (error instanceof SluiceError) return error;
    const message = error instanceof Error ? error.message : String(error);
    return new SluiceError('internal', message, { cause: error });
  }
}

/**
 * Why the flat path said no: filled in place and used again, so that a refusal costs no
 * stack trace. The first refusal stays; later ones are consequences of it.
 */
export class Refusal {
  refused = false;
  code: ErrorCode = 'invalid_argument';
  message = '';
  field = '';
  /** Which table the rule at fault is in (TABLE_… of model/record-layout.ts), -1: none. */
  table = -1;
  /** Position in that table. */
  index = 0;

  clear(): void {
    this.refused = false;
    this.table = -1;
  }

  /** Always false, so that callers can `return refusal.set(…)`. */
  set(code: ErrorCode, field: string, message: string, table = -1, index = 0): false {
    if (this.refused) return false;
    this.refused = true;
    this.code = code;
    this.field = field;
    this.message = message;
    this.table = table;
    this.index = index;
    return false;
  }

  toError(holder = 0n): SluiceError {
    return new SluiceError(this.code, this.message, { field: this.field, holder });
  }
}
