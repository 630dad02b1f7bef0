import { describe, expect, it } from 'vitest';
import * as Cause from './cause.js';
import * as Ie from './ie.js';
import {
  ELEMENTS_MAX,
  HEADER_DROP,
  HEADER_OK,
  HEADER_VERSION,
  MessageReader,
} from './message-reader.js';
import * as Message from './message-type.js';
import { FTeid, readFTeid } from './values/f-teid.js';
import { readNodeId } from './values/node-id.js';
import { octets, open5gsMessages, vectors } from './vectors.fixture.js';

const reader = new MessageReader();

/** An element in hex. */
function ie(type: number, value: string): string {
  const length = value.length / 2;
  return type.toString(16).padStart(4, '0') + length.toString(16).padStart(4, '0') + value;
}

function message(type: number, body: string): Uint8Array {
  const length = (12 + body.length / 2).toString(16).padStart(4, '0');
  return octets(`21${type.toString(16).padStart(2, '0')}${length}${'00'.repeat(8)}00000100${body}`);
}

const pdi = ie(Ie.Pdi, ie(Ie.SourceInterface, '00'));
const pdr = (inner = '') =>
  ie(
    Ie.CreatePdr,
    ie(Ie.PdrId, '0001') + ie(Ie.Precedence, '000000ff') + pdi + ie(Ie.FarId, '00000001') + inner,
  );
const far = ie(Ie.CreateFar, ie(Ie.FarId, '00000001') + ie(Ie.ApplyAction, '02'));
const start = ie(Ie.NodeId, '000a000001') + ie(Ie.FSeid, '0200000000000000010a000001');
const establishment = (body: string) => message(Message.SessionEstablishmentRequest, start + body);

function read(bytes: Uint8Array): { ok: boolean; cause: number; offendingIe: number } {
  const ok = reader.read(bytes, 0, bytes.length);
  return { ok, cause: reader.cause, offendingIe: reader.offendingIe };
}
const accepted = { ok: true, cause: 0, offendingIe: 0 };
const refused = (cause: number, offendingIe: number) => ({ ok: false, cause, offendingIe });

describe('the reader of messages', () => {
  it('reads header and elements of an association response', () => {
    const bytes = octets(vectors.associationResponse);
    expect(read(bytes)).toEqual(accepted);
    expect(reader).toMatchObject({
      messageType: Message.AssociationSetupResponse,
      hasSeid: false,
      sequence: 1,
      count: 4,
    });
    expect(readNodeId(reader, reader.find(-1, Ie.NodeId))).toBe('10.0.0.2');
    expect(reader.u8(reader.find(-1, Ie.Cause))).toBe(1);
    expect(reader.u32(reader.find(-1, Ie.RecoveryTimeStamp))).toBe(0xea000000);
    expect(reader.flags(reader.find(-1, Ie.UpFunctionFeatures))).toBe(0x0110);
  });

  it('walks through groups', () => {
    const bytes = octets(vectors.modificationEndMarker);
    expect(read(bytes)).toEqual(accepted);
    expect([reader.seidHigh, reader.seidLow, reader.sequence]).toEqual([0, 0x22, 3]);
    const update = reader.find(-1, Ie.UpdateFar);
    expect(reader.flags(reader.find(update, Ie.ApplyAction))).toBe(2);
    const forwarding = reader.find(update, Ie.UpdateForwardingParameters);
    expect(reader.find(forwarding, Ie.OuterHeaderCreation)).toBeGreaterThan(forwarding);
    expect(reader.find(forwarding, Ie.PfcpSmReqFlags)).toBe(forwarding + 3);
    expect(reader.find(-1, Ie.PfcpSmReqFlags)).toBe(-1);
    expect(reader.endOf(-1)).toBe(reader.count);
  });

  it('finds elements that stand there several times', () => {
    expect(read(establishment(pdr() + pdr() + far + pdr()))).toEqual(accepted);
    const found = [reader.find(-1, Ie.CreatePdr)];
    for (let next = found[0]!; next >= 0; ) {
      next = reader.findNext(-1, next, Ie.CreatePdr);
      if (next >= 0) found.push(next);
    }
    expect(found).toHaveLength(3);
  });

  it('reads every message of a real SMF and UPF', () => {
    const messages = open5gsMessages();
    expect(messages).toHaveLength(16);
    for (const bytes of messages) expect(read(bytes)).toEqual(accepted);
    read(messages[6]!);
    const ids: number[] = [];
    for (let index = 0; index < reader.count; index = reader.ieEnd[index]!) {
      if (reader.ieType[index] === Ie.CreatePdr) ids.push(reader.u16(reader.find(index, Ie.PdrId)));
    }
    expect(ids).toEqual([1, 2, 3, 4]);
    const second = reader.findNext(-1, reader.find(-1, Ie.CreatePdr), Ie.CreatePdr);
    const fTeid = new FTeid();
    expect(readFTeid(reader, reader.find(reader.find(second, Ie.Pdi), Ie.FTeid), fTeid)).toBe(true);
    expect(fTeid).toMatchObject({ choose: true, hasIpv4: true, hasIpv6: true, chooseId: 5 });
  });

  it('says what to do with a header', () => {
    const heartbeat = octets('2001000c000001000060000400000000');
    expect(reader.header(heartbeat, 0, heartbeat.length)).toBe(HEADER_OK);
    expect(reader.header(heartbeat, 0, heartbeat.length - 1)).toBe(HEADER_DROP);
    expect(reader.header(octets('200100'), 0, 3)).toBe(HEADER_DROP);
    expect(reader.header(octets('4001000400000700'), 0, 8)).toBe(HEADER_VERSION);
    expect(reader.sequence).toBe(7);
    // The size rule comes behind the version.
    expect(reader.header(octets('4001ffff00000700'), 0, 8)).toBe(HEADER_VERSION);
    const priority = octets('2336000c0000000000000001000005f0');
    expect(reader.header(priority, 0, priority.length)).toBe(HEADER_OK);
    expect([reader.priority, reader.sequence]).toEqual([15, 5]);
  });
});

describe('mistakes in messages', () => {
  it('names the mandatory element that is not there', () => {
    const without = (type: number, text: string) => read(establishment(text)).offendingIe === type;
    expect(read(message(50, ''))).toEqual(refused(Cause.MandatoryIeMissing, Ie.NodeId));
    expect(read(establishment(far))).toEqual(refused(Cause.MandatoryIeMissing, Ie.CreatePdr));
    expect(without(Ie.Pdi, ie(1, ie(Ie.PdrId, '0001') + ie(29, '00000001')) + far)).toBe(true);
    expect(without(Ie.PdrId, ie(1, ie(29, '00000001') + pdi) + far)).toBe(true);
    const bare = ie(Ie.PdrId, '0001') + ie(Ie.Precedence, '00000001') + ie(Ie.Pdi, '');
    expect(without(Ie.SourceInterface, ie(Ie.CreatePdr, bare) + far)).toBe(true);
    expect(without(Ie.FarId, pdr() + ie(Ie.CreateFar, ie(Ie.ApplyAction, '02')))).toBe(true);
  });

  it('refuses a mandatory element that is too short, and takes an optional one for absent', () => {
    const short = ie(Ie.CreateFar, ie(Ie.FarId, '0001') + ie(Ie.ApplyAction, '02'));
    expect(read(establishment(pdr() + short))).toEqual(refused(Cause.InvalidLength, Ie.FarId));
    const empty = ie(Ie.CreateFar, ie(Ie.FarId, '') + ie(Ie.ApplyAction, '02'));
    expect(read(establishment(pdr() + empty))).toEqual(refused(Cause.InvalidLength, Ie.FarId));
    const optional = pdr(ie(Ie.QerId, '01') + ie(Ie.QerId, '00000007'));
    expect(read(establishment(optional + far))).toEqual(accepted);
    expect(reader.u32(reader.find(reader.find(-1, Ie.CreatePdr), Ie.QerId))).toBe(7);
  });

  it('refuses lengths that lie', () => {
    expect(read(establishment(`${pdr()}${far}0013ffff01`))).toEqual(
      refused(Cause.InvalidLength, Ie.Cause),
    );
    const child = ie(Ie.CreatePdr, `${ie(Ie.PdrId, '0001')}0002ffff`);
    expect(read(establishment(child + far))).toEqual(refused(Cause.InvalidLength, Ie.Pdi));
    const rest = ie(Ie.CreatePdr, `${ie(Ie.PdrId, '0001')}0002`);
    expect(read(establishment(rest + far))).toEqual(refused(Cause.InvalidLength, Ie.CreatePdr));
    expect(read(establishment(`${pdr()}${far}00`))).toEqual(refused(Cause.InvalidLength, 0));
  });

  it('keeps unknown and vendor elements, and passes over what has no place there', () => {
    const odd = ie(Ie.Metric, '07') + ie(0x8001, '28af01') + ie(999, '');
    expect(read(establishment(pdr(odd) + far + odd))).toEqual(accepted);
    expect(reader.find(-1, 0x8001)).toBeGreaterThan(0);
    expect(reader.find(-1, 999)).toBeGreaterThan(0);
  });

  it('refuses what is not supported by its name', () => {
    const redirect = ie(
      Ie.CreateFar,
      ie(Ie.FarId, '00000001') +
        ie(Ie.ApplyAction, '02') +
        ie(Ie.ForwardingParameters, ie(42, '01') + ie(Ie.RedirectInformation, '0200016100')),
    );
    expect(read(establishment(pdr() + redirect))).toEqual(
      refused(Cause.ServiceNotSupported, Ie.RedirectInformation),
    );
    expect(read(establishment(pdr() + far + ie(Ie.CreateMar, '')))).toEqual(
      refused(Cause.ServiceNotSupported, Ie.CreateMar),
    );
    expect(read(message(99, ''))).toEqual(refused(Cause.ServiceNotSupported, 0));
  });

  it('is not led deeper than the table goes', () => {
    let nested = ie(Ie.Pdi, ie(Ie.SourceInterface, '00'));
    for (let depth = 0; depth < 1000; depth++) nested = ie(Ie.Pdi, nested);
    const group = ie(
      Ie.CreatePdr,
      ie(Ie.PdrId, '0001') + ie(Ie.Precedence, '00000001') + nested + ie(Ie.FarId, '00000001'),
    );
    expect(read(establishment(group + far))).toEqual(
      refused(Cause.MandatoryIeMissing, Ie.SourceInterface),
    );
    expect(reader.count).toBeLessThan(12);
  });

  it('bounds the number of elements', () => {
    const many = ie(999, '').repeat(ELEMENTS_MAX);
    expect(read(establishment(many))).toEqual(refused(Cause.NoResources, 0));
    expect(reader.count).toBe(ELEMENTS_MAX);
  });
});
