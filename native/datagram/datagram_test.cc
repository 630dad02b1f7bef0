#include "datagram/datagram.h"

#include <gtest/gtest.h>

#include "datagram/allow_list.h"
#include "datagram/half_sip_hash.h"

namespace sluice::datagram {
namespace {

TEST(HalfSipHash, HasTheVectorsOfTheReferenceCode) {
  std::array<std::byte, 64> input;
  for (unsigned i = 0; i < input.size(); ++i) input[i] = static_cast<std::byte>(i);
  const HalfSipHash<2, 4> hash(0x03020100, 0x07060504);
  EXPECT_EQ(hash(input.data(), 0), 0xc83cb8b9591f8d21u);
  EXPECT_EQ(hash(input.data(), 1), 0x157338f8122455beu);
}

TEST(Address, IsReadAndWritten) {
  for (const char* text : {"192.0.2.7", "255.255.255.255", "::1", "2001:db8::a:b"}) {
    EXPECT_EQ(address_text(parse_address(text)), text);
  }
  EXPECT_EQ(parse_address("localhost").family, 0u);
  std::uint32_t port = 0;
  const Address address = parse_address("2001:db8::5");
  EXPECT_EQ(address_of(socket_address(address, 8805).storage, port), address);
  EXPECT_EQ(port, 8805u);
}

TEST(AllowList, HasEverybodyWhileEmptyAndThenItsPrefixes) {
  EXPECT_TRUE(AllowList::of({}).value().has(parse_address("192.0.2.1")));
  const AllowList list =
      AllowList::of({"10.1.2.3", "192.0.2.0/31", "2001:db8::/33", "::1/128"}).value();
  for (const char* inside : {"10.1.2.3", "192.0.2.1", "2001:db8:7fff::5", "::1"}) {
    EXPECT_TRUE(list.has(parse_address(inside))) << inside;
  }
  for (const char* outside : {"10.1.2.4", "192.0.2.2", "2001:db8:8000::5", "::2", "::a01:203"}) {
    EXPECT_FALSE(list.has(parse_address(outside))) << outside;
  }
  const AllowList all_v4 = AllowList::of({"0.0.0.0/0"}).value();
  EXPECT_TRUE(all_v4.has(parse_address("203.0.113.9")));
  EXPECT_FALSE(all_v4.has(parse_address("::1")));
  for (const char* bad : {"10.0.0.0/33", "::/129", "x", "", "10.0.0.0/", "10.0.0.0/8/8", "::/-1"}) {
    EXPECT_FALSE(AllowList::of({bad})) << bad;
  }
}

TEST(Class, IsToldByTheMessageType) {
  std::array<std::byte, 8> bytes{std::byte{0x20}};
  const auto of = [&](unsigned type) {
    bytes[1] = static_cast<std::byte>(type);
    return class_of(bytes.data(), bytes.size());
  };
  for (const unsigned control : {1, 2, 4, 5, 6, 9, 11, 14, 15, 51, 53, 54, 55, 57}) {
    EXPECT_EQ(of(control), Class::Control) << control;
  }
  EXPECT_EQ(of(3), Class::Modification);
  EXPECT_EQ(of(52), Class::Modification);
  for (const unsigned other : {0, 16, 49, 50, 58, 255}) {
    EXPECT_EQ(of(other), Class::Establishment) << other;
  }
  bytes[1] = std::byte{1};
  EXPECT_EQ(class_of(bytes.data(), 7), Class::Establishment);
}

}  // namespace
}  // namespace sluice::datagram
