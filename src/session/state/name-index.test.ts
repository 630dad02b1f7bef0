import fc from 'fast-check';
import { expect, it } from 'vitest';
import { HEADER_NAME } from '../../model/record-layout.js';
import { hashText, NameIndex, textWords } from './name-index.js';

it('finds what a map finds, whatever came and went before', () => {
  const step = fc.tuple(fc.nat(60), fc.nat(2), fc.boolean());
  fc.assert(
    fc.property(fc.array(step, { maxLength: 500 }), (steps) => {
      const owner = new Uint16Array(64);
      const words = Array.from({ length: 64 }, () => new Uint32Array(64));
      const index = new NameIndex({ owner, wordsOf: (i) => words[i]!, startOf: () => 0 }, 64);
      const model = new Map<string, number>();
      const free = Array.from({ length: 64 }, (_, i) => i);
      for (const [number, who, add] of steps) {
        const name = 'n'.repeat(number % 7) + number;
        const key = `${who}/${name}`;
        const text = textWords(name);
        const hash = hashText(text.words, 0, text.ref, who);
        const there = model.get(key);
        expect(index.find(who, hash, text.words, 0, text.ref)).toBe(there ?? -1);
        if (add && there === undefined && free.length > 0) {
          const slot = free.pop()!;
          owner[slot] = who;
          words[slot]!.set(text.words, 32);
          words[slot]![HEADER_NAME] = (32 << 16) | text.ref;
          index.add(hash, slot);
          model.set(key, slot);
        } else if (!add && there !== undefined) {
          index.remove(hash, there);
          model.delete(key);
          free.push(there);
        }
        expect(index.size).toBe(model.size);
      }
    }),
  );
});
