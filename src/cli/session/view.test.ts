import { describe, expect, it } from 'vitest';
import type { Session } from '../api/messages.js';
import { sessionText } from './view.js';

describe('sessionText', () => {
  it('shows each mark that a QER has', () => {
    const text = sessionText({
      name: 'ue1',
      qers: [
        { id: 1, qfi: 9 },
        { id: 2, rqi: true, ppi: 0 },
        { id: 3, qfi: 5, rqi: false, ppi: 3 },
      ],
    });
    expect(text.split('\n').filter((line) => line.startsWith('qer'))).toEqual([
      'qer 1  qfi 9, gate open up open down, mbr unlimited up unlimited down',
      'qer 2  qfi -, rqi, ppi 0, gate open up open down, mbr unlimited up unlimited down',
      'qer 3  qfi 5, ppi 3, gate open up open down, mbr unlimited up unlimited down',
    ]);
  });

  it('shows the protections that packets come under and are sealed by', () => {
    const session = (protection_id?: number): Session => ({
      name: 'ue1',
      pdrs: [
        {
          id: 1,
          pdi: {
            source_interface: 'INTERFACE_ACCESS',
            ...(protection_id !== undefined && { protection_id }),
          },
          far_id: 2,
        },
      ],
      fars: [
        {
          id: 2,
          forward: {
            destination_interface: 'INTERFACE_ACCESS',
            outer_header_creation: { ipv4: '192.0.2.7', teid: 16 },
            ...(protection_id !== undefined && { protection_id }),
          },
        },
      ],
    });
    expect(sessionText(session(7))).toContain(`
pdr 1  precedence 0, from access under protection 7 -> far 2
far 2  forward to access in tunnel 192.0.2.7/0x10 sealed by protection 7`);
    for (const without of [undefined, 0]) {
      expect(sessionText(session(without))).not.toContain('protection');
    }
  });
});
