import { describe, expect, it } from 'vitest';
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
});
