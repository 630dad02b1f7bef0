/** Why admission refuses an operation, for any session. Pure. */
import { SluiceError } from '../../base/errors.js';

export function nameTakenError(): SluiceError {
  const message = 'a session of this name exists with other content';
  return new SluiceError('already_exists', message, { field: 'session.name' });
}
export function fullError(sessionsMax: number): SluiceError {
  return new SluiceError('resource_exhausted', `limits.sessions of ${sessionsMax} is reached`);
}
export function noMemoryError(): SluiceError {
  return new SluiceError('resource_exhausted', 'there is no memory for the session');
}
export function detachedError(): SluiceError {
  return new SluiceError(
    'failed_precondition',
    'the session is no longer in the packet path, and the store failed to remove it: delete it again',
  );
}
