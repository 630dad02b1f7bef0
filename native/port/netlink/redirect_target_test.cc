// What the kernel says of a veth pair, in a network namespace of the test's own.
#include "port/netlink/redirect_target.h"

#include <net/if.h>
#include <poll.h>

#include <cstdlib>

#include "port/namespace_test.h"

namespace sluice::test {
namespace {

TEST(RedirectTarget, IsAVethWhoseOtherEndPolls) {
  in_namespace([](bool has_own) {
    if (!has_own) GTEST_SKIP() << "no right to make a network namespace";
    if (std::system("ip link add near type veth peer name far && ip link set near up && "
                    "ip link set far up") != 0) {
      GTEST_SKIP() << "no veth pair";
    }
    RedirectTarget near(::if_nametoindex("near")), far(::if_nametoindex("far"));
    if (near.fd() < 0) GTEST_SKIP() << "this kernel does not tell";
    EXPECT_EQ(near.ask(), Redirects::Refused);
    EXPECT_EQ(far.ask(), Redirects::Refused);
    EXPECT_FALSE(near.take_news());
    ASSERT_EQ(std::system("ethtool -K far gro on"), 0);
    pollfd wait{near.fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&wait, 1, 10'000), 1);
    EXPECT_TRUE(near.take_news());
    EXPECT_EQ(near.ask(), Redirects::Taken);
    EXPECT_EQ(far.ask(), Redirects::Refused);
    ASSERT_EQ(std::system("ethtool -K far gro off"), 0);
    EXPECT_EQ(::poll(&wait, 1, 10'000), 1);
    EXPECT_TRUE(near.take_news());
    EXPECT_EQ(near.ask(), Redirects::Refused);
  });
}

TEST(RedirectTarget, IsNoDeviceThatIsNotThere) {
  EXPECT_EQ(RedirectTarget(~0U >> 1).ask(), Redirects::Unknown);
}

TEST(RedirectTarget, SaysWhatToDo) {
  EXPECT_EQ(obstacle_to_redirects("n6", Redirects::Taken), "");
  EXPECT_NE(obstacle_to_redirects("n6", Redirects::Refused).find("ethtool -K PEER gro on"),
            std::string::npos);
  EXPECT_NE(obstacle_to_redirects("n6", Redirects::Unknown).find("6.3"), std::string::npos);
}

}  // namespace
}  // namespace sluice::test
