#include "port/tun/masquerade.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "port/address_text.h"

namespace sluice {
namespace {

// nft's identifiers take letters, digits and underscores; device names take nearly anything.
std::string table_name(const std::string& device) {
  std::string name = "sluice_";
  for (const char c : device) {
    const bool is_plain =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    name += is_plain ? c : '_';
  }
  return name;
}

// A file in memory with the given content, read from its start; -1: no descriptor left.
int memory_file(const std::string& content) noexcept {
  const int fd = ::memfd_create("sluice-nft", MFD_CLOEXEC);
  if (fd < 0) return -1;
  if (::pwrite(fd, content.data(), content.size(), 0) != static_cast<ssize_t>(content.size())) {
    ::close(fd);
    return -1;
  }
  return fd;
}

struct Outcome {
  int error = 0;  // errno of starting it; ENOENT: there is no nft
  int exit_code = 0;
  std::string output;
};

// Runs nft with the script on its standard input and waits for its end, a few milliseconds.
Outcome run_nft(const std::string& script) {
  Outcome outcome;
  const int input = memory_file(script);
  const int output = memory_file("");
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  // A service's PATH often lacks the folders of system programs.
  outcome.error = ENOENT;
  pid_t child = -1;
  for (const char* program : {"nft", "/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft"}) {
    const char* arguments[] = {"nft", "-f", "-", nullptr};
    outcome.error = ::posix_spawnp(&child, program, &actions, nullptr,
                                   const_cast<char* const*>(arguments), environ);
    if (outcome.error != ENOENT) break;
  }
  ::posix_spawn_file_actions_destroy(&actions);
  if (outcome.error == 0) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    char text[512];
    const ssize_t got = ::pread(output, text, sizeof text, 0);
    if (got > 0) outcome.output.assign(text, static_cast<std::size_t>(got));
  }
  ::close(input);
  ::close(output);
  return outcome;
}

bool enable(const char* path) noexcept {
  const int fd = ::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return false;
  char now = '0';
  const bool done = (::read(fd, &now, 1) == 1 && now == '1') || ::pwrite(fd, "1\n", 2, 0) == 2;
  ::close(fd);
  return done;
}

Error masquerade_error(const std::string& what) { return {what, "masquerade"}; }

}  // namespace

std::string masquerade_script(const std::string& device, std::span<const IpPrefix> pools) {
  const std::string table = "inet " + table_name(device);
  // Adding before deleting makes the deletion succeed whether or not an earlier run left it.
  std::string script =
      "add table " + table + "\ndelete table " + table + "\nadd table " + table + "\nadd chain " +
      table + " postrouting { type nat hook postrouting priority 100 ; policy accept ; }\n";
  for (const IpPrefix& pool : pools) {
    script += "add rule " + table + " postrouting oifname != \"" + device + "\" " +
              (pool.address.is_v6 ? "ip6" : "ip") + " saddr " + address_text(pool.address) + "/" +
              std::to_string(pool.length) + " masquerade\n";
  }
  return script;
}

Status start_masquerade(const std::string& device, std::span<const IpPrefix> pools) {
  const Outcome outcome = run_nft(masquerade_script(device, pools));
  if (outcome.error == ENOENT) {
    return masquerade_error(
        "masquerade needs the program nft; install it (apt-get install nftables), or set "
        "masquerade: false and route the pools");
  }
  if (outcome.error != 0 || outcome.exit_code != 0) {
    const std::string why = outcome.error != 0 ? std::strerror(outcome.error) : outcome.output;
    return masquerade_error("nft refused the masquerade rules of " + device + ": " +
                            why.substr(0, why.find('\n')));
  }
  for (const IpPrefix& pool : pools) {
    const char* path = pool.address.is_v6 ? "/proc/sys/net/ipv6/conf/all/forwarding"
                                          : "/proc/sys/net/ipv4/ip_forward";
    if (enable(path)) continue;
    stop_masquerade(device);
    return masquerade_error(std::string("masquerade needs forwarding: ") + path +
                            " cannot be set; run: echo 1 > " + path);
  }
  return Ok{};
}

void stop_masquerade(const std::string& device) noexcept {
  const std::string table = "inet " + table_name(device);
  run_nft("add table " + table + "\ndelete table " + table + "\n");
}

}  // namespace sluice
