// The part of a program that deals with a lent flow's entry, whichever way its packets go: found,
// claimed, paid out of, given back (lent_flow.h says by what rules). Put together with the part
// that deals with frames in forward_program.cc.
// Threads: the control thread.
#pragma once
#include <cstddef>

#include "port/afxdp/assembly.h"
#include "port/afxdp/lent_flows.h"

namespace sluice {

/// Where members of an entry are.
struct LentMembers {
  int byte_cost = offsetof(LentFlow, byte_cost);
  int bytes = offsetof(LentFlow, bytes);
  int bytes_max = offsetof(LentFlow, bytes_max);
  int checksum_seed = offsetof(LentFlow, checksum_seed);
  int credit = offsetof(LentFlow, credit);
  int depth = offsetof(LentFlow, depth);
  int dropped = offsetof(LentFlow, dropped);
  int interface = offsetof(LentFlow, interface);
  int key = offsetof(LentFlow, key);
  int local = offsetof(LentFlow, local);
  int header = offsetof(LentFlow, header);
  int reach = offsetof(LentFlow, reach);
  int packets = offsetof(LentFlow, packets);
  int polices = offsetof(LentFlow, polices);
  int qfi = offsetof(LentFlow, qfi);
  int rate_kbps = offsetof(LentFlow, rate_kbps);
  int refilled_at = offsetof(LentFlow, refilled_at);
  int source_ports = offsetof(LentFlow, source_ports);
  int tokens = offsetof(LentFlow, tokens);
  int ue = offsetof(LentFlow, ue);
  int word = offsetof(LentFlow, word);
};

class LentEntryCode {
 protected:
  // What the registers hold throughout.
  static constexpr unsigned kContext = BPF_REG_6;
  static constexpr unsigned kEntry = BPF_REG_7;
  static constexpr unsigned kLength = BPF_REG_8;  ///< of the UE's packet; the key before
  static constexpr unsigned kData = BPF_REG_9;    ///< start of the frame
  static constexpr unsigned kStack = BPF_REG_10;
  static constexpr unsigned kR0 = BPF_REG_0, kR1 = BPF_REG_1, kR2 = BPF_REG_2, kR3 = BPF_REG_3,
                            kR4 = BPF_REG_4, kR5 = BPF_REG_5;
  /// On the stack: a key for lookups, and a source port.
  static constexpr int kKeyAt = -8, kSourcePortAt = -4;

  static constexpr LentMembers kAt{};

  LentEntryCode(Assembly& code, const LentFlows& flows, Assembly::Label redirect)
      : code_(code),
        flows_(flows),
        redirect_(redirect),
        not_lent_(code.label()),
        hand_over_(code.label()),
        give_back_(code.label()),
        lacks_tokens_(code.label()) {}

  /// By the key in kLength. From here on a packet is a lent flow's, or of one that is about to be.
  void find_entry();
  void claim();
  /// As police does: a packet pays out of those buckets that it is asked for, or out of none.
  void pay_tokens();
  void pay_credit();
  void end_without_tokens();
  /// The flow is the worker's from here on. The packet says which of those handed over it is.
  void end_handed_over();
  /// Whoever sees this sees all that was stored before.
  void unclaim();
  /// To kR0, by the key on the stack.
  void look_up();

  Assembly& code_;
  const LentFlows& flows_;
  const Assembly::Label redirect_;      ///< to the worker's socket
  const Assembly::Label not_lent_;      ///< nothing has been changed
  const Assembly::Label hand_over_;     ///< a lent flow's packet that is the worker's
  const Assembly::Label give_back_;     ///< likewise, of a flow that has been claimed
  const Assembly::Label lacks_tokens_;  ///< what buckets hold is in kR2 and kR4

 private:
  void refill(int bucket, unsigned held, unsigned cost);
  void add_one(int counter);
  void take_away();
};

}  // namespace sluice
