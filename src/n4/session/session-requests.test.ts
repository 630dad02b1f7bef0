import { describe, expect, it } from 'vitest';
import { footprint } from '../../session/engine.fixture.js';
import * as Cause from '../codec/cause.js';
import * as Ie from '../codec/ie.js';
import * as Message from '../codec/message-type.js';
import { ask, bytesOf, FakePeer, message, startSessions, upSeidOf } from './session.fixture.js';

/** What Open5GS 2.7.7 sends: its SMF's session from establishment to deletion. */
const OPEN5GS_ESTABLISHMENT =
  '21320256000000000000000000000300003c0005007f0000040039000d020000000000000f267f0000040001004a003800020001001d00040000ffff0002002000140001010016000908696e7465726e6574005d0005060a2d000200a0000111006c0004000000010051000400000001006d00040000000100010049003800020002001d00040000ffff000200220014000100001500020f050016000908696e7465726e6574007c00010100a000010b005f000106006c000400000002006d00040000000100010029003800020003001d0004000000ff0002000a00140001030015000107005f000106006c0004000000010001006e003800020004001d0004000000ff0002004f0014000100001500020f050016000908696e7465726e65740017002e0100002a7065726d6974206f75742035382066726f6d20666630323a3a322f31323820746f2061737369676e656400a000010b005f000106006c00040000000300030013006c000400000001002c00020c00005800010100030029006c000400000002002c0002020000040017002a0001010016000908696e7465726e657400a000011100030025006c000400000003002c0002020000040013002a0001030054000a0100000000017f000004000600210051000400000001003e00010200250003020000001f000901000000000640000000070020006d0004000000010019000100001a000a00000f424000000f4240007c0001010055000500580001010071000101008d0019070800010100000000f1083407181652181615059000000000009f000908696e7465726e65740101000401ffffff';
const OPEN5GS_MODIFICATION =
  '21340047000000000000007b00000400000a0037006c000400000001002c00020200000b0025002a0001000016000908696e7465726e65740054000a0100000001000a0a010100a000010b';

/** The message with another SEID in its header. */
function addressed(hex: string, seid: bigint): Uint8Array {
  const bytes = bytesOf(hex);
  Buffer.from(bytes.buffer).writeBigUInt64BE(seid, 4);
  return bytes;
}

describe('session requests of Open5GS', () => {
  it('makes, changes and removes its session', async () => {
    const bench = await startSessions();
    const peer = new FakePeer();
    const before = footprint(bench);
    const established = await ask(bench, peer, bytesOf(OPEN5GS_ESTABLISHMENT));
    expect(established.u8(established.find(-1, Ie.Cause))).toBe(Cause.Accepted);
    expect([established.messageType, established.seidLow]).toEqual([51, 0xf26]);
    const seid = upSeidOf(established);
    expect(bench.engine.count).toBe(1);
    expect(bench.engine.get(peer.owner, { name: 'cp-0000000000000f26-127.0.0.4' })).toBeDefined();
    const modified = await ask(bench, peer, addressed(OPEN5GS_MODIFICATION, seid));
    expect(modified.u8(modified.find(-1, Ie.Cause))).toBe(Cause.Accepted);
    expect([modified.messageType, modified.seidLow]).toEqual([53, 0xf26]);
    const deletion = message(Message.SessionDeletionRequest, seid, () => undefined);
    const deleted = await ask(bench, peer, deletion);
    expect(deleted.u8(deleted.find(-1, Ie.Cause))).toBe(Cause.Accepted);
    expect(footprint(bench)).toEqual(before);
    const again = await ask(bench, peer, deletion);
    expect(again.u8(again.find(-1, Ie.Cause))).toBe(Cause.SessionNotFound);
    expect([again.seidLow, again.seidHigh]).toEqual([0, 0]);
  });
});
