import { describe, expect, it } from 'vitest';
import { PrepareStatus } from '../datapath/datapath.js';
import { prepareError } from './prepare-error.js';

describe('why the packet path refused a session', () => {
  const record = { words: new Uint32Array(0), at: 0 } as never;

  it('is an instance without a port, or a tunnel without an address of its family', () => {
    expect(prepareError(record, PrepareStatus.Instance, 1)).toMatchObject({
      field: 'session.pdrs[1].pdi.network_instance',
      message: 'no port carries this network instance',
    });
    expect(prepareError(record, PrepareStatus.Instance, 257)).toMatchObject({
      field: 'session.fars[1].forward.network_instance',
      message: expect.stringContaining("or none with an address of the tunnel's family"),
    });
  });

  it("is a FAR whose port is not the protection's", () => {
    expect(prepareError(record, PrepareStatus.ProtectionPort, 1)).toMatchObject({
      code: 'failed_precondition',
      field: 'session.fars[1].forward.protection_id',
      message: "no port of the network instance has the protection's local address",
    });
  });
});
