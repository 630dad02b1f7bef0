import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { openSendWindow } from './send-window.js';

/** A call whose messages leave one by one, when it is told so. */
function slowCall() {
  const sent: unknown[] = [];
  const left: (() => void)[] = [];
  const call = {
    sendMessage(message: unknown, callback: () => void) {
      sent.push(message);
      left.push(callback);
    },
  } as unknown as ServerInterceptingCallInterface;
  openSendWindow(call);
  return { call, sent, leave: () => left.shift()?.() };
}

describe('the send window of a stream', () => {
  it('lets messages follow before those in front have left, in their order', () => {
    const { call, sent } = slowCall();
    let ready = 0;
    for (let i = 0; i < 5; i++) call.sendMessage(Buffer.alloc(1000, i), () => ready++);
    expect(ready).toBe(5);
    expect(sent.map((message) => (message as Buffer)[0])).toEqual([0, 1, 2, 3, 4]);
  });

  it('holds back once much is unsent, until enough has left', () => {
    const { call, leave } = slowCall();
    let ready = 0;
    const send = (bytes: number) => call.sendMessage(Buffer.alloc(bytes), () => ready++);
    send(40_000);
    expect(ready).toBe(1);
    send(90_000);
    expect(ready).toBe(1);
    leave();
    expect(ready).toBe(1);
    leave();
    expect(ready).toBe(2);
    send(10);
    expect(ready).toBe(3);
  });

  it('counts messages that are objects, too', () => {
    const { call } = slowCall();
    let ready = 0;
    for (let i = 0; i < 1000; i++) {
      const before = ready;
      call.sendMessage({ i }, () => ready++);
      if (ready === before) break;
    }
    expect(ready).toBeGreaterThan(0);
    expect(ready).toBeLessThan(1000);
  });
});
