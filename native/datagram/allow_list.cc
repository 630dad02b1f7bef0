#include "datagram/allow_list.h"

#include <algorithm>
#include <charconv>

namespace sluice::datagram {

Result<AllowList> AllowList::of(const std::vector<std::string>& prefixes) {
  AllowList out;
  for (const std::string& text : prefixes) {
    const std::size_t slash = text.find('/');
    Prefix prefix{parse_address(text.substr(0, slash)), {}};
    const int bits = prefix.network.family == 4 ? 32 : 128;
    int length = bits;
    bool good = prefix.network.family != 0;
    if (slash != std::string::npos) {
      const char* const end = text.data() + text.size();
      const auto read = std::from_chars(text.data() + slash + 1, end, length);
      good = good && read.ec == std::errc{} && read.ptr == end && length >= 0 && length <= bits;
    }
    if (!good) return Error{"\"" + text + "\" is no IP prefix", ""};
    for (int i = 0; i < 4; ++i) {
      const int inside = std::clamp(length - 32 * i, 0, 32);
      prefix.mask[i] = inside == 0 ? 0 : ~std::uint32_t{0} << (32 - inside);
      prefix.network.words[i] &= prefix.mask[i];
    }
    out.prefixes_.push_back(prefix);
  }
  return out;
}

}  // namespace sluice::datagram
