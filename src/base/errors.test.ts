import { describe, expect, it } from 'vitest';
import { ERRORS, type ErrorCode, Refusal, SluiceError } from './errors.js';

describe('SluiceError', () => {
  it('takes message, status, cause and retryability from the table', () => {
    const error = new SluiceError('aborted');
    expect(error).toBeInstanceOf(Error);
    expect(error.message).toBe(ERRORS.aborted.message);
    expect([error.grpcStatus, error.pfcpCause, error.retryable]).toEqual([10, 64, true]);
    expect(error.field).toBe('');
  });

  it('carries its own message, field and cause', () => {
    const cause = new Error('disk');
    const error = new SluiceError('unavailable', 'later', { field: 'session.name', cause });
    expect(error).toMatchObject({ message: 'later', field: 'session.name', cause });
  });

  it('has one gRPC status for each code', () => {
    const codes = Object.keys(ERRORS) as ErrorCode[];
    expect(new Set(codes.map((code) => ERRORS[code].grpcStatus)).size).toBe(codes.length);
  });

  it('makes internal errors of what is none of ours', () => {
    const own = new SluiceError('not_found');
    expect(SluiceError.of(own)).toBe(own);
    expect(SluiceError.of(new TypeError('x'))).toMatchObject({ code: 'internal', message: 'x' });
    expect(SluiceError.of('text')).toMatchObject({ code: 'internal', message: 'text' });
  });
});

describe('Refusal', () => {
  it('keeps the first reason until it is cleared', () => {
    const refusal = new Refusal();
    expect(refusal.set('invalid_argument', 'a', 'first', 1, 2)).toBe(false);
    refusal.set('internal', 'b', 'second');
    expect(refusal).toMatchObject({ refused: true, field: 'a', message: 'first', table: 1 });
    expect(refusal.toError()).toMatchObject({ code: 'invalid_argument', field: 'a' });
    refusal.clear();
    expect(refusal.refused).toBe(false);
    refusal.set('internal', 'b', 'second');
    expect(refusal).toMatchObject({ field: 'b', table: -1 });
  });
});
