/** A session as a UE and its gNB see it: addresses, and both ends of the tunnel. */
export interface UeSession {
  readonly name: string;
  /** empty: none */
  readonly ipv4: string;
  /** an address in the UE's /64, or empty */
  readonly ipv6: string;
  readonly upfAddress: string;
  readonly upfTeid: number;
  readonly gnbAddress: string;
  readonly gnbTeid: number;
  readonly qfi: number;
}
