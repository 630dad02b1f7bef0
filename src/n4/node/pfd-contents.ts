/** The value of a PFD Contents IE. Source: TS 29.244 clause 8.2.39. Pure; any thread. */

const FLOW_DESCRIPTION = 0x01;
/** URL, domain name, custom contents, domain name protocol. */
const SINGLE_OTHERS = [0x02, 0x04, 0x08, 0x10];
const MORE_FLOW_DESCRIPTIONS = 0x20;
/** Additional URLs; additional domain names and their protocols. */
const MORE_OTHERS = [0x40, 0x80];
const FLAGS_OCTETS = 2;

export interface PfdContents {
  readonly flows: readonly Uint8Array[];
  /** It has something that is no flow description. */
  readonly hasOther: boolean;
}

/** undefined: the value is shorter than its flags and lengths say. */
export function readPfdContents(value: Uint8Array): PfdContents | undefined {
  if (value.length < FLAGS_OCTETS) return undefined;
  const flags = value[0]!;
  let at = FLAGS_OCTETS;
  const take = (): Uint8Array | undefined => {
    if (at + 2 > value.length) return undefined;
    const end = at + 2 + ((value[at]! << 8) | value[at + 1]!);
    if (end > value.length) return undefined;
    const text = value.subarray(at + 2, end);
    at = end;
    return text;
  };
  const flows: Uint8Array[] = [];
  if ((flags & FLOW_DESCRIPTION) !== 0) {
    const flow = take();
    if (flow === undefined) return undefined;
    flows.push(flow);
  }
  for (const flag of SINGLE_OTHERS) {
    if ((flags & flag) !== 0 && take() === undefined) return undefined;
  }
  if ((flags & MORE_FLOW_DESCRIPTIONS) !== 0) {
    const texts = split(take());
    if (texts === undefined) return undefined;
    flows.push(...texts);
  }
  for (const flag of MORE_OTHERS) {
    if ((flags & flag) !== 0 && take() === undefined) return undefined;
  }
  const others = [...SINGLE_OTHERS, ...MORE_OTHERS].reduce((sum, flag) => sum | flag, 0);
  return { flows, hasOther: (flags & others) !== 0 };
}

/** Texts that follow each other, each with its length. */
function split(value: Uint8Array | undefined): Uint8Array[] | undefined {
  if (value === undefined) return undefined;
  const texts: Uint8Array[] = [];
  for (let at = 0; at < value.length; ) {
    if (at + 2 > value.length) return undefined;
    const end = at + 2 + ((value[at]! << 8) | value[at + 1]!);
    if (end > value.length) return undefined;
    texts.push(value.subarray(at + 2, end));
    at = end;
  }
  return texts;
}
