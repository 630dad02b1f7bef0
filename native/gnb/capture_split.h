// Turns any capture into what the two sides of a UPF would have received, for replay: GTP-U
// stays as it is, plain IP of a session's UE is wrapped into its tunnel or taken as downlink.
// One pass, one thread, no packet kept in memory. Start with split_capture().
#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/types.h"
#include "port/port.h"

namespace sluice::gnb {

/// A session as the capture's packets meet it.
struct SplitSession {
  Teid upf_teid{};
  std::uint8_t qfi = 0;
  IpAddress upf;                                      ///< outer destination of what is wrapped
  IpAddress gnb;                                      ///< outer source; same family as upf
  std::optional<std::uint32_t> ue_ipv4;               ///< host order
  std::optional<std::array<std::byte, 8>> ue_prefix;  ///< the /64
};

struct SplitRequest {
  std::string input;
  std::string access_output, core_output;  ///< pcapng files, made anew
  std::vector<IpAddress> n3;               ///< what goes to one of these is of the access side
  std::vector<SplitSession> sessions;
  /// Give conversations of strangers to the sessions in turn: the endpoint seen first becomes
  /// the session's UE, its address is replaced and checksums follow.
  bool adopt = false;
};

/// Each frame is counted once: gtpu, uplink, downlink, other or skipped.
struct SplitCounts {
  std::uint64_t frames = 0;
  std::uint64_t gtpu = 0;      ///< to the access port as it was
  std::uint64_t uplink = 0;    ///< wrapped, to the access port
  std::uint64_t downlink = 0;  ///< of a UE, to the core port
  std::uint64_t other = 0;     ///< of nobody, to the core port
  std::uint64_t adopted = 0;   ///< of uplink and downlink: with an address replaced
  std::array<std::uint64_t, kDropReasons> skipped{};  ///< no packet could be made of it
  std::optional<std::uint64_t> cut_at;  ///< byte of the last record, if it is cut: no frame of it
};

/// Errors: a file that cannot be read or written, a capture that is broken ("at byte …") or cut
/// before its first frame is whole; the outputs then have what came before.
Result<SplitCounts> split_capture(const SplitRequest& request);

/// The address that most GTP-U packets of a capture go to; none without GTP-U.
Result<std::optional<IpAddress>> busiest_gtpu_destination(const std::string& path);

/// The IP packet of one frame of a capture, counted from 1.
/// Errors: a file that cannot be read, no such frame, a frame without an IP packet.
Result<std::vector<std::byte>> captured_packet(const std::string& path, std::uint64_t number);

/// One pcapng of several captures, ordered by time, with one named interface for each.
Status merge_captures(const std::vector<std::string>& inputs, const std::vector<std::string>& names,
                      const std::string& output);

}  // namespace sluice::gnb
