/** Named limits of the control plane: what a thing may grow to, and nothing else. */

/** Buckets: the top byte of a TEID, and of an address from a pool. */
export const BUCKETS = 256;
/** Session indices fit 24 bits. */
export const SESSION_INDEX_MAX = 2 ** 24;
/** Bits of a TEID below its bucket. */
export const TEID_LOW_BITS = 24;
export const TEID_LOW_MASK = 0xff_ffff;

/** Bytes of one chunk of the slab, registered with the packet path once and kept. */
export const SLAB_CHUNK_BYTES = 16 * 1024 * 1024;
/** Bytes of a page: the part of a chunk that holds records of one size class. */
export const SLAB_PAGE_BYTES = 256 * 1024;
/** Records start at multiples of this. */
export const SLAB_UNIT_BYTES = 64;

/** Packets on their way through the node. */
export const PACKETS_PER_WORKER = 16_384;
/** Operations that travel through prepare, store and apply together. */
export const ROUND_OPERATIONS_MAX = 1024;
/** Ports of a node: the width of the packet path's port masks (native/base/types.h). */
export const PORTS_MAX = 16;
/** Reports kept for watchers before usage of one URR is merged. */
export const REPORTS_MAX = 65_536;
/** Sessions per page of a listing: default and most. */
export const PAGE_SIZE_DEFAULT = 100;
export const PAGE_SIZE_MAX = 1000;
/** Owners (peers and identities) that have sessions at one time. */
export const OWNERS_MAX = 65_535;
