// What the sieve promises: an address that wants a look gets one, whatever was added and removed
// around it, and common traffic gets none.
#include "session/table/address_sieve.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace sluice {
namespace {

bool uplink_look(const AddressSieve& sieve, std::uint32_t word, bool is_v6) {
  return sieve.wants_look(word >> 16, word & 0xffff, is_v6, 0);
}

Route prefix(std::uint32_t word, unsigned length, bool is_v6) {
  Route route{{word, 0, 0, 0}, static_cast<std::uint8_t>(length), is_v6, 0};
  route.words[0] &= route.mask(0);
  return route;
}

TEST(AddressSieve, LooksAtWhatIsSpecialByItself) {
  const AddressSieve sieve;
  for (const unsigned direction : {0u, 1u}) {
    for (const std::uint32_t word : {0x7f000001u, 0xa9fe0001u, 0xe0000005u, 0xffffffffu}) {
      EXPECT_TRUE(sieve.wants_look(word >> 16, word & 0xffff, false, direction)) << word;
    }
    for (const std::uint32_t word : {0u, 0xfe800000u, 0xfebfffffu, 0xff020000u}) {
      EXPECT_TRUE(sieve.wants_look(word >> 16, word & 0xffff, true, direction)) << word;
    }
    EXPECT_FALSE(sieve.wants_look(0x0808, 0x0808, false, direction));
    EXPECT_FALSE(sieve.wants_look(0x2001, 0x4860, true, direction));
  }
}

TEST(AddressSieve, LooksAtOneNetworkOfIpv6AndNotAtItsNeighbours) {
  AddressSieve sieve;
  sieve.add_own(0x20010db8, true);
  sieve.add_ue(prefix(0x2a020001, 64, true));
  EXPECT_TRUE(uplink_look(sieve, 0x20010db8, true));
  EXPECT_TRUE(uplink_look(sieve, 0x2a020001, true));
  EXPECT_FALSE(uplink_look(sieve, 0x20014860, true));
  EXPECT_FALSE(uplink_look(sieve, 0x2a020002, true));
  EXPECT_FALSE(sieve.wants_look(0x2a02, 0x0001, true, 1));
  sieve.remove_ue(prefix(0x2a020001, 64, true));
  EXPECT_FALSE(uplink_look(sieve, 0x2a020001, true));
  EXPECT_TRUE(uplink_look(sieve, 0x20010db8, true));
}

TEST(AddressSieve, MissesNoUeWhateverComesAndGoes) {
  std::mt19937 random(7);
  AddressSieve sieve;
  std::vector<Route> there;
  for (unsigned round = 0; round < 2000; ++round) {
    const bool is_v6 = random() % 2 != 0;
    const unsigned length = 8 + random() % (is_v6 ? 57 : 25);
    if (there.empty() || random() % 3 != 0) {
      // Few octets, so that prefixes meet.
      const std::uint32_t word = (0x20u + random() % 3) << 24 | (random() & 0xffffff);
      there.push_back(prefix(word, length, is_v6));
      sieve.add_ue(there.back());
    } else {
      std::swap(there[random() % there.size()], there.back());
      sieve.remove_ue(there.back());
      there.pop_back();
    }
    for (unsigned k = 0; k < 20 && !there.empty(); ++k) {
      const Route& route = there[random() % there.size()];
      const std::uint32_t word =
          route.words[0] | (static_cast<std::uint32_t>(random()) & ~route.mask(0));
      ASSERT_TRUE(uplink_look(sieve, word, route.is_v6)) << round;
      ASSERT_TRUE(sieve.may_be_ue(word >> 16, route.is_v6)) << round;
    }
  }
  for (const Route& route : there) sieve.remove_ue(route);
  for (std::uint32_t word = 0x20000000; word < 0x23000000; word += 0x1001) {
    ASSERT_FALSE(uplink_look(sieve, word, true));
    ASSERT_FALSE(uplink_look(sieve, word, false));
  }
}

}  // namespace
}  // namespace sluice
