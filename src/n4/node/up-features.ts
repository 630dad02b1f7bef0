/**
 * UP Function Features: exactly what is carried through. Bits by octet from 5 on, the lowest
 * first. Source: TS 29.244 clause 8.2.25.
 */
const DDND = 0x02;
const FTUP = 0x10;
const PFDM = 0x20;
const EMPU = 0x01;
const PDIU = 0x02;
const UDBC = 0x04;
const QUOAC = 0x08;
const FRRT = 0x20;
const UEIP = 0x04;
const MNOP = 0x10;
const VTIME = 0x04;

export const UP_FEATURES = Uint8Array.of(
  DDND | FTUP | PFDM,
  EMPU | PDIU | UDBC | QUOAC | FRRT,
  UEIP | MNOP,
  VTIME,
);
