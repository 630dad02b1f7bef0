// Which sources may send. Any thread; a list never changes after it was made.
#pragma once
#include <string>
#include <vector>

#include "datagram/datagram.h"

namespace sluice::datagram {

class AllowList {
 public:
  /// Prefixes such as 10.0.0.0/8; an address alone is one of full length. None: all may send.
  static Result<AllowList> of(const std::vector<std::string>& prefixes);
  bool has(const Address& address) const noexcept {
    if (prefixes_.empty()) return true;
    for (const Prefix& prefix : prefixes_) {
      if (prefix.covers(address)) return true;
    }
    return false;
  }

 private:
  struct Prefix {
    Address network;
    std::array<std::uint32_t, 4> mask;
    bool covers(const Address& address) const noexcept {
      std::uint32_t different = network.family ^ address.family;
      for (unsigned i = 0; i < 4; ++i) {
        different |= (address.words[i] & mask[i]) ^ network.words[i];
      }
      return different == 0;
    }
  };
  std::vector<Prefix> prefixes_;
};

}  // namespace sluice::datagram
