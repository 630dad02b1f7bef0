import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';

/** Bytes of one stream that may be on their way to the socket before the next message waits. */
const UNSENT_BYTES_MAX = 64 * 1024;
/** What a message that is not bytes yet counts as. */
const OBJECT_BYTES = 1024;

/**
 * Lets a stream's messages follow each other without waiting for the socket: grpc-js hands one
 * to HTTP/2 only when the one before has left, which costs a turn of the event loop and a system
 * call each. What is sent in one turn leaves together; a client that doesn't read still holds
 * the stream back, {@link UNSENT_BYTES_MAX} later. Owner: the control thread.
 */
export function openSendWindow(call: ServerInterceptingCallInterface): void {
  const sendMessage = call.sendMessage.bind(call);
  let unsent = 0;
  let waiting: (() => void) | undefined;
  call.sendMessage = (message: unknown, callback) => {
    const bytes = message instanceof Uint8Array ? message.length : OBJECT_BYTES;
    unsent += bytes;
    sendMessage(message, () => {
      unsent -= bytes;
      if (waiting === undefined || unsent >= UNSENT_BYTES_MAX) return;
      const next = waiting;
      waiting = undefined;
      next();
    });
    // One message waits at most: the next is offered when this one's callback ran.
    if (unsent < UNSENT_BYTES_MAX) callback();
    else waiting = callback;
  };
}
