#include "port/tun/masquerade.h"

#include <cstdio>
#include <string>

#include "port/tun/tun_bench_test.h"

namespace sluice::test::tun_port {
namespace {

TEST(Masquerade, ScriptReplacesItsOwnTableOnly) {
  const IpPrefix pools[] = {prefix("10.60.0.0", 16), prefix("fd00:60::", 40)};
  EXPECT_EQ(masquerade_script("up-f.0", pools),
            "add table inet sluice_up_f_0\n"
            "delete table inet sluice_up_f_0\n"
            "add table inet sluice_up_f_0\n"
            "add chain inet sluice_up_f_0 postrouting { type nat hook postrouting priority 100 ; "
            "policy accept ; }\n"
            "add rule inet sluice_up_f_0 postrouting oifname != \"up-f.0\" ip saddr 10.60.0.0/16 "
            "masquerade\n"
            "add rule inet sluice_up_f_0 postrouting oifname != \"up-f.0\" ip6 saddr fd00:60::/40 "
            "masquerade\n");
}

std::string output_of(const char* command) {
  FILE* pipe = ::popen(command, "r");
  std::string text;
  char part[256];
  while (std::fgets(part, sizeof part, pipe) != nullptr) text += part;
  ::pclose(pipe);
  return text;
}

TEST(Masquerade, IsThereWhileThePortIsOpenOrRefused) {
  with_tun([] {
    PortConfig config = default_config();
    config.masquerade = true;
    {
      Bench bench(config);
      if (!bench.status) {
        // No nft, or a kernel without nf_tables: said on the key that asked for it.
        EXPECT_EQ(bench.status.error().field, "masquerade");
        EXPECT_NE(bench.status.error().message.find("nft"), std::string::npos);
        EXPECT_EQ(::if_nametoindex("sluice0"), 0U);
        return;
      }
      const std::string rules =
          output_of("PATH=$PATH:/usr/sbin nft list table inet sluice_sluice0");
      EXPECT_NE(rules.find("10.60.0.0/16 masquerade"), std::string::npos) << rules;
      EXPECT_NE(rules.find("fd00:60::/40 masquerade"), std::string::npos) << rules;
      EXPECT_EQ(output_of("cat /proc/sys/net/ipv4/ip_forward"), "1\n");
      EXPECT_EQ(output_of("cat /proc/sys/net/ipv6/conf/all/forwarding"), "1\n");
      EXPECT_EQ(bench.port->capabilities()["masquerade"], "yes");
    }
    EXPECT_EQ(output_of("PATH=$PATH:/usr/sbin nft list tables"), "");
  });
}

}  // namespace
}  // namespace sluice::test::tun_port
