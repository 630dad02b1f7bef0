#include "port/port.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(MakePort, KnowsItsDrivers) {
  for (const char* driver : {"memory", "pcap", "socket", "tun"}) {
    PortConfig config;
    config.driver = driver;
    config.file = "in.pcap";
    auto port = make_port(config, 7);
    ASSERT_TRUE(port) << driver << ": " << port.error().message;
    EXPECT_EQ(port.value()->index(), 7);
    EXPECT_EQ(port.value()->config().driver, driver);
  }
}

TEST(MakePort, RefusesAnUnknownDriverByName) {
  PortConfig config;
  config.driver = "dpkd";
  auto port = make_port(config, 0);
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().field, "driver");
  EXPECT_NE(port.error().message.find("\"dpkd\""), std::string::npos);
  EXPECT_NE(port.error().message.find("memory, pcap, socket, tun, afxdp and dpdk"),
            std::string::npos);
}

}  // namespace
}  // namespace sluice
