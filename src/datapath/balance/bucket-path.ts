/** Which worker owns which sessions: a table of buckets, and how one goes to another worker. */

/** busy: at another moment it may be done. no room: as many packets are held as may be. */
export type BucketMove = 'done' | 'busy' | 'no room';

export interface BucketPath {
  /** Number of the worker that owns each bucket; always as it is. */
  readonly bucketOwners: Uint8Array;
  /**
   * Has a worker own these buckets from here on, and ports bring their packets to it: nothing is
   * lost, overtaken or counted twice. Waits for all workers, microseconds.
   */
  moveBuckets(buckets: Uint8Array, worker: number): BucketMove;
}
