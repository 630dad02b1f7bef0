// A network namespace for one test, and a process without privileges for one check.
#pragma once
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <thread>

namespace sluice::test {

/// Sets a device of this thread's namespace up, with an MTU if one is given.
inline bool set_up(const char* device, int mtu = 0) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  bool done = true;
  if (mtu != 0) {
    request.ifr_mtu = mtu;
    done = ::ioctl(fd, SIOCSIFMTU, &request) == 0;
  }
  request.ifr_flags = IFF_UP;
  done = done && ::ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  ::close(fd);
  return done;
}

/// Runs `body` in a thread with a network namespace of its own, loopback up, which goes with
/// the last descriptor into it. `body` learns whether there was the right to make one.
inline void in_namespace(const std::function<void(bool has_own)>& body) {
  std::thread thread([&] {
    const bool has_own = ::unshare(CLONE_NEWNET) == 0 && set_up("lo");
    body(has_own);
  });
  thread.join();
}

/// Runs `body` in a child process that is not root; it returns what the child returns.
inline int without_privileges(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr unsigned kNobody = 65534;
    if (::geteuid() == 0 && ::setresuid(kNobody, kNobody, kNobody) != 0) ::_exit(99);
    ::_exit(body());
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace sluice::test
