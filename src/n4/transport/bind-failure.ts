/** A listen address that can't be had, in words for the person who wrote it. Pure. */
import { type ListenAddress, listenText } from '../../base/config/listen.js';
import { SluiceError } from '../../base/errors.js';

export function bindFailure(listen: ListenAddress, error: unknown): SluiceError {
  const place = listenText(listen);
  const cause = error as NodeJS.ErrnoException;
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `UDP ${place} is already in use; stop the other process (ss -lunp shows it) or choose another address`,
    EADDRNOTAVAIL: `${place} is no address of this machine; choose one that "ip address" shows`,
    EACCES: `no permission to bind UDP ${place}; choose a port above 1023 or give CAP_NET_BIND_SERVICE`,
    EAFNOSUPPORT: `this machine has no IPv6, which ${place} needs; choose an IPv4 address`,
  };
  const message = reasons[cause.code ?? ''] ?? `cannot bind UDP ${place}: ${cause.message}`;
  return new SluiceError('unavailable', message, { field: 'n4.listen', cause: error });
}
