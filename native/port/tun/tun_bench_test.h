// What the tests of the TUN port share: a device in a network namespace of the test's own.
// Without the right to make one, each test asserts the documented error instead.
#pragma once
#include <arpa/inet.h>

#include <optional>

#include "port/namespace_test.h"
#include "port/port_contract_test.h"
#include "port/tun/tun_port.h"

namespace sluice::test::tun_port {

inline IpPrefix prefix(const char* text, std::uint8_t length) {
  IpPrefix result;
  result.length = length;
  result.address.is_v6 = std::strchr(text, ':') != nullptr;
  const int family = result.address.is_v6 ? AF_INET6 : AF_INET;
  EXPECT_EQ(::inet_pton(family, text, result.address.bytes.data()), 1);
  return result;
}

inline PortConfig config_of(const char* device, std::vector<IpPrefix> pools) {
  PortConfig config;
  config.name = "n6";
  config.driver = "tun";
  config.role = PortRole::Core;
  config.device = device;
  config.ue_pools = std::move(pools);
  return config;
}

inline PortConfig default_config() {
  return config_of("sluice0", {prefix("10.60.0.0", 16), prefix("fd00:60::", 40)});
}

struct Bench {
  explicit Bench(const PortConfig& config, unsigned queues = 1)
      : pool(2048, queues + 1), port(std::in_place, config, std::uint8_t{4}) {
    for (unsigned i = 0; i < queues; ++i) caches.push_back(&pool.pool->cache(i));
    BucketOwners owners;
    for (unsigned i = 0; i < 256; ++i) owners[i] = static_cast<std::uint8_t>(i % queues);
    port->steer(owners);
    status = port->open(caches);
  }
  ~Bench() {
    port.reset();
    EXPECT_EQ(pool.pool->available(), pool.pool->capacity()) << "packets are lost";
  }
  /// True if the device is there; else the error must be the documented one.
  bool is_open() const {
    if (!status) {
      EXPECT_EQ(status.error().field, "driver") << status.error().message;
      EXPECT_NE(status.error().message.find("driver: memory"), std::string::npos);
    }
    return static_cast<bool>(status);
  }

  PoolFixture pool;
  std::vector<PoolCache*> caches;
  std::optional<TunPort> port;
  Status status = Ok{};
};

/// Runs the test in a namespace; where none can be made, opening must be refused.
inline void with_tun(const std::function<void()>& body) {
  in_namespace([&](bool has_own) {
    if (has_own) return body();
    Bench bench(config_of("sluicetest", {}));
    EXPECT_NE(::geteuid(), 0U) << "root may make a namespace";
    EXPECT_FALSE(bench.is_open());
  });
}

}  // namespace sluice::test::tun_port
