/** Whatever a file holds, it is read or refused with placed complaints: nothing else is thrown. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError, effectiveConfig, parseConfig } from './config.js';

const whole = `node: { id: upf-1 }
n4: { listen: ["127.0.0.1:8805"] }
api: { listen: 127.0.0.1:50051 }
http: { listen: 127.0.0.1:9090 }
store: { kind: embedded, path: ./data, durability: sync }
workers: { count: 2, cores: [2, 3], poll: adaptive }
limits:
  sessions: 1000
  heldPackets: 4096
  reassembly: { datagrams: 16, timeoutMs: 500 }
gtpu: { echoIntervalSeconds: 60 }
policy: { multicast: drop, ownAddresses: drop }
ports:
  - { name: n3, driver: socket, role: access, addresses: [127.0.0.1, "::1"] }
  - name: n6
    driver: tun
    role: core
    device: sluice0
    uePools: [10.60.0.0/16, "fd00:60::/40"]
    networkInstances: [internet]
`;
const anchors = `limits: &l { sessions: 10 }
gtpu: *l
ports: &p
  - &n { name: a, driver: memory, role: core }
  - *n
`;

/** What breaks readers: YAML's own signs, numbers at the limits, names of JavaScript. */
const tokens: readonly string[] = [
  ...['*l', '&l ', '!!binary ', '!!js/undefined ', '<<: *l', '? ', '- ', ': ', '[', '{', ']', '}'],
  ...['|\n', '>-\n', '"', "'", '#', '\t', '\n', '\r\n', '---\n', '...\n', '%YAML 9.9\n', '\0'],
  ...['null', '~', '.nan', '.inf', '-.inf', '1e999', '-0', '0x1f', '0o17', '9007199254740993'],
  ...['2001-01-01', 'true', 'yes', '\ufeff', '\u2028', '\ud800', '🙂', '__proto__', 'constructor'],
  ...['toString: 1', '__proto__: { name: x }', '0.0.0.0/33', '::/129', '256.1.1.1', '[::]:0'],
  ...['unix:', 'ports', 'name', 'addresses', '[[[[[[[[', '{ a: { a: { a: {'],
];

const edit = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  remove: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 40 })),
  insert: fc.oneof(
    fc.constant(''),
    fc.constantFrom(...tokens),
    fc.constantFrom(...whole.split('\n')),
    fc.string({ unit: 'binary', maxLength: 6 }),
  ),
});

const mutated = fc
  .tuple(fc.constantFrom<string>(whole, anchors), fc.array(edit, { minLength: 1, maxLength: 6 }))
  .map(([text, edits]) =>
    edits.reduce<string>((old, { at, remove, insert }) => {
      const place = Math.floor(at * old.length);
      return old.slice(0, place) + insert + old.slice(place + remove);
    }, text),
  );

/** @throws what is not a placed complaint. */
function check(text: string): void {
  const lines = text.split(/\n/).length;
  try {
    effectiveConfig(parseConfig(text, 'mutated.yaml'));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.issues).not.toHaveLength(0);
    for (const issue of error.issues) {
      expect(issue.file).toBe('mutated.yaml');
      expect(issue.message).not.toBe('');
      if (issue.line === undefined) continue;
      expect(issue.line).toBeGreaterThanOrEqual(1);
      expect(issue.line).toBeLessThanOrEqual(lines);
      expect(issue.column).toBeGreaterThanOrEqual(1);
    }
  }
}

describe('configuration files of any content', () => {
  it('starts from files of which one is good', () => {
    expect(() => parseConfig(whole, 'whole.yaml')).not.toThrow();
  });

  it('reads or refuses good files with changes', () => {
    fc.assert(fc.property(mutated, check), { numRuns: 1000 });
  });

  it('reads or refuses what was never a file', () => {
    const any = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc
        .array(fc.constantFrom(...tokens, ' ', 'a'), { maxLength: 40 })
        .map((list) => list.join('')),
    );
    fc.assert(fc.property(any, check), { numRuns: 2000 });
  });
});
