#include "gnb/capture_split.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_map>

#include "memory/packet.h"
#include "port/capture/capture_file.h"
#include "wire/gtpu.h"
#include "wire/inner.h"
#include "wire/udp.h"

namespace sluice::gnb {
namespace {

constexpr std::size_t kAccessRoom = kChunkBytes - kAccessDataOffset;
constexpr std::size_t kCoreRoom = kPacketBytesMax;
constexpr std::size_t kHeadRoom = wire::kIpv6Bytes + wire::kUdpBytes + 16;

/// Where the addresses of an IP packet are, if it is long enough to have them.
struct Addresses {
  std::byte* source;
  std::byte* destination;
  bool is_v6;
  std::size_t size() const noexcept { return is_v6 ? 16 : 4; }
};

std::optional<Addresses> addresses_of(std::byte* ip, std::size_t n) noexcept {
  const unsigned version = n == 0 ? 0 : wire::load8(ip) >> 4;
  if (version == 4 && n >= wire::kIpv4Bytes) return Addresses{ip + 12, ip + 16, false};
  if (version == 6 && n >= wire::kIpv6Bytes) return Addresses{ip + 8, ip + 24, true};
  return std::nullopt;
}

IpAddress address_at(const std::byte* bytes, bool is_v6) noexcept {
  IpAddress address;
  address.is_v6 = is_v6;
  std::memcpy(address.bytes.data(), bytes, is_v6 ? 16 : 4);
  return address;
}

/// Whether the packet is UDP to the GTP-U port (a first fragment, or none).
bool is_gtpu(const std::byte* ip, std::size_t n) noexcept {
  wire::InnerPacket packet;
  if (wire::parse_inner(ip, n, packet) != DropReason::None) return false;
  return packet.protocol == wire::kProtocolUdp && packet.has_ports &&
         packet.destination_port == wire::kGtpuPort;
}

/// Where the checksum of the upper layer lies that covers the addresses, if any does.
std::byte* upper_checksum(std::byte* ip, std::size_t n) noexcept {
  wire::InnerPacket packet;
  if (wire::parse_inner(ip, n, packet) != DropReason::None) return nullptr;
  if (packet.fragment_offset != 0) return nullptr;
  std::size_t offset = 0;
  switch (packet.protocol) {
    case wire::kProtocolTcp:
      offset = 16;
      break;
    case wire::kProtocolUdp:
    case wire::kProtocolUdpLite:
    case wire::kProtocolDccp:
      offset = 6;
      break;
    case wire::kProtocolIcmpv6:
      offset = 2;
      break;
    default:
      return nullptr;
  }
  const std::size_t at = packet.header_length + offset;
  if (at + 2 > n) return nullptr;
  const bool none = packet.protocol == wire::kProtocolUdp && wire::load16(ip + at) == 0;
  return none ? nullptr : ip + at;
}

/// Replaces 4 or 8 bytes of an address, with every checksum that covers them.
void replace_address(std::byte* ip, std::size_t n, std::byte* address, const std::byte* with,
                     std::size_t size) noexcept {
  std::byte* const upper = upper_checksum(ip, n);
  const bool is_v4 = wire::load8(ip) >> 4 == 4;
  for (std::size_t i = 0; i < size; i += 4) {
    const std::uint32_t before = wire::load32(address + i);
    const std::uint32_t after = wire::load32(with + i);
    for (std::byte* field : {is_v4 ? ip + 10 : nullptr, upper}) {
      if (field == nullptr) continue;
      wire::store16(field, wire::checksum_update32(wire::load16(field), before, after));
    }
  }
  std::memcpy(address, with, size);
}

class Splitter {
 public:
  explicit Splitter(const SplitRequest& request) : request_(request) {
    for (std::uint32_t i = 0; i < request.sessions.size(); ++i) {
      const SplitSession& session = request.sessions[i];
      if (session.ue_ipv4) by_ipv4_.emplace(*session.ue_ipv4, i);
      if (session.ue_prefix) by_prefix_.emplace(wire::load64(session.ue_prefix->data()), i);
    }
  }

  Result<SplitCounts> run() {
    auto reader = CaptureReader::open(request_.input);
    if (!reader) return reader.error();
    const std::array<std::string, 1> access_name{"access"}, core_name{"core"};
    auto access = CaptureWriter::create(request_.access_output, access_name);
    if (!access) return access.error();
    auto core = CaptureWriter::create(request_.core_output, core_name);
    if (!core) return core.error();
    access_ = std::move(access).value();
    core_ = std::move(core).value();
    CaptureFrame frame;
    for (;;) {
      const CaptureReader::Step step = reader.value()->next(frame);
      if (step == CaptureReader::Step::End) break;
      if (step == CaptureReader::Step::Fault) {
        if (!reader.value()->is_cut() || counts_.frames == 0) return reader.value()->error();
        counts_.cut_at = reader.value()->fault_offset();
        break;
      }
      if (step == CaptureReader::Step::Frame) take(frame);
    }
    if (!access_->flush()) return access_->error();
    if (!core_->flush()) return core_->error();
    return counts_;
  }

 private:
  struct Conversation {
    std::uint32_t session;
    IpAddress ue;
  };
  using Pair = std::pair<std::array<std::uint8_t, 16>, std::array<std::uint8_t, 16>>;

  void skip(DropReason reason) noexcept { ++counts_.skipped[static_cast<std::size_t>(reason)]; }

  void take(const CaptureFrame& frame) {
    ++counts_.frames;
    CapturedPacket found;
    const DropReason reason = find_ip_packet(frame, found);
    if (reason != DropReason::None) return skip(reason);
    if (found.length > kAccessRoom) return skip(DropReason::MtuExceeded);
    std::byte* const ip = buffer_.data() + kHeadRoom;
    std::memcpy(ip, frame.data + found.offset, found.length);
    time_ = frame.time;
    const auto addresses = addresses_of(ip, found.length);
    if (is_gtpu(ip, found.length) || (addresses && is_n3(*addresses))) {
      ++counts_.gtpu;
      access_->append(0, time_, ip, found.length);
    } else if (!addresses || !take_plain(ip, found.length, *addresses)) {
      ++counts_.other;
      to_core(ip, found.length, counts_.other);
    }
  }

  bool is_n3(const Addresses& addresses) const noexcept {
    const IpAddress destination = address_at(addresses.destination, addresses.is_v6);
    return std::find(request_.n3.begin(), request_.n3.end(), destination) != request_.n3.end();
  }

  bool take_plain(std::byte* ip, std::size_t n, const Addresses& addresses) {
    if (const auto from = session_of(addresses.source, addresses.is_v6)) {
      wrap(ip, n, request_.sessions[*from]);
      return true;
    }
    if (session_of(addresses.destination, addresses.is_v6)) {
      ++counts_.downlink;
      to_core(ip, n, counts_.downlink);
      return true;
    }
    return request_.adopt && adopt(ip, n, addresses);
  }

  std::optional<std::uint32_t> session_of(const std::byte* address, bool is_v6) const noexcept {
    if (is_v6) {
      const auto found = by_prefix_.find(wire::load64(address));
      return found == by_prefix_.end() ? std::nullopt : std::optional(found->second);
    }
    const auto found = by_ipv4_.find(wire::load32(address));
    return found == by_ipv4_.end() ? std::nullopt : std::optional(found->second);
  }

  bool adopt(std::byte* ip, std::size_t n, const Addresses& addresses) {
    const IpAddress source = address_at(addresses.source, addresses.is_v6);
    const IpAddress destination = address_at(addresses.destination, addresses.is_v6);
    const Pair key = std::minmax(source.bytes, destination.bytes);
    auto found = conversations_.find(key);
    if (found == conversations_.end()) {
      const auto session = next_session(addresses.is_v6);
      if (!session) return false;
      found = conversations_.emplace(key, Conversation{*session, source}).first;
    }
    const SplitSession& session = request_.sessions[found->second.session];
    const bool is_uplink = source == found->second.ue;
    std::byte* const address = is_uplink ? addresses.source : addresses.destination;
    std::array<std::byte, 8> ue{};
    if (addresses.is_v6)
      ue = *session.ue_prefix;
    else
      wire::store32(ue.data(), *session.ue_ipv4);
    replace_address(ip, n, address, ue.data(), addresses.is_v6 ? 8 : 4);
    ++counts_.adopted;
    if (is_uplink) {
      wrap(ip, n, session);
    } else {
      ++counts_.downlink;
      to_core(ip, n, counts_.downlink);
    }
    return true;
  }

  /// The next session in turn that has an address of the family.
  std::optional<std::uint32_t> next_session(bool is_v6) noexcept {
    for (std::size_t tried = 0; tried < request_.sessions.size(); ++tried) {
      const auto at = static_cast<std::uint32_t>(turn_++ % request_.sessions.size());
      const SplitSession& session = request_.sessions[at];
      if (is_v6 ? session.ue_prefix.has_value() : session.ue_ipv4.has_value()) return at;
    }
    return std::nullopt;
  }

  void to_core(const std::byte* ip, std::size_t n, std::uint64_t& counter) noexcept {
    if (n > kCoreRoom) {
      --counter;
      return skip(DropReason::MtuExceeded);
    }
    core_->append(0, time_, ip, n);
  }

  void wrap(std::byte* ip, std::size_t n, const SplitSession& session) noexcept {
    const wire::PscFields container{.type = wire::kPscUplink, .qfi = session.qfi};
    std::byte* const gtpu = ip - wire::gpdu_bytes(&container);
    std::byte* const udp = gtpu - wire::kUdpBytes;
    wire::write_gpdu(gtpu, session.upf_teid, static_cast<std::uint16_t>(n), &container);
    const auto udp_bytes = static_cast<std::uint16_t>(ip + n - udp);
    wire::write_udp(udp, wire::kGtpuPort, wire::kGtpuPort, udp_bytes);
    const auto* const from = reinterpret_cast<const std::byte*>(session.gnb.bytes.data());
    const auto* const to = reinterpret_cast<const std::byte*>(session.upf.bytes.data());
    std::byte* outer = udp - wire::kIpv4Bytes;
    if (session.upf.is_v6) {
      outer = udp - wire::kIpv6Bytes;
      wire::write_ipv6(outer, {.source = from, .destination = to, .payload_length = udp_bytes});
      const auto seed = wire::pseudo_header_v6(from, to, wire::kProtocolUdp, udp_bytes);
      wire::fill_udp_checksum(udp, udp_bytes, seed);
    } else {
      const auto total = static_cast<std::uint16_t>(udp_bytes + wire::kIpv4Bytes);
      wire::write_ipv4(
          outer,
          {.source = wire::load32(from), .destination = wire::load32(to), .total_length = total});
    }
    const auto length = static_cast<std::size_t>(ip + n - outer);
    if (length > kAccessRoom) return skip(DropReason::MtuExceeded);
    ++counts_.uplink;
    access_->append(0, time_, outer, length);
  }

  const SplitRequest& request_;
  SplitCounts counts_;
  std::unique_ptr<CaptureWriter> access_, core_;
  std::unordered_map<std::uint32_t, std::uint32_t> by_ipv4_;
  std::unordered_map<std::uint64_t, std::uint32_t> by_prefix_;
  std::map<Pair, Conversation> conversations_;
  std::uint64_t turn_ = 0;
  Nanoseconds time_ = 0;
  std::array<std::byte, kHeadRoom + kChunkBytes> buffer_{};
};

}  // namespace

Result<SplitCounts> split_capture(const SplitRequest& request) {
  for (std::size_t i = 0; i < request.sessions.size(); ++i) {
    if (request.sessions[i].upf.is_v6 != request.sessions[i].gnb.is_v6) {
      return Error{"UPF and gNB addresses are of different families",
                   "sessions[" + std::to_string(i) + "]"};
    }
  }
  return Splitter(request).run();
}

Result<std::optional<IpAddress>> busiest_gtpu_destination(const std::string& path) {
  auto reader = CaptureReader::open(path);
  if (!reader) return reader.error();
  std::map<std::pair<bool, std::array<std::uint8_t, 16>>, std::uint64_t> counts;
  CaptureFrame frame;
  CapturedPacket found;
  for (;;) {
    const CaptureReader::Step step = reader.value()->next(frame);
    if (step == CaptureReader::Step::End) break;
    if (step == CaptureReader::Step::Fault) {
      if (!reader.value()->is_cut()) return reader.value()->error();
      break;
    }
    if (step != CaptureReader::Step::Frame) continue;
    if (find_ip_packet(frame, found) != DropReason::None) continue;
    const std::byte* const ip = frame.data + found.offset;
    if (!is_gtpu(ip, found.length)) continue;
    const bool is_v6 = wire::load8(ip) >> 4 == 6;
    ++counts[{is_v6, address_at(ip + (is_v6 ? 24 : 16), is_v6).bytes}];
  }
  std::optional<IpAddress> busiest;
  std::uint64_t most = 0;
  for (const auto& [address, count] : counts) {
    if (count <= most) continue;
    most = count;
    busiest = IpAddress{address.second, address.first};
  }
  return busiest;
}

Result<std::vector<std::byte>> captured_packet(const std::string& path, std::uint64_t number) {
  auto reader = CaptureReader::open(path);
  if (!reader) return reader.error();
  CaptureFrame frame;
  for (std::uint64_t seen = 0;;) {
    const CaptureReader::Step step = reader.value()->next(frame);
    if (step == CaptureReader::Step::Fault) return reader.value()->error();
    if (step == CaptureReader::Step::End) {
      return Error{path + ": has " + std::to_string(seen) + " frames, and no frame " +
                       std::to_string(number),
                   "frame"};
    }
    if (step == CaptureReader::Step::Frame && ++seen == number) break;
  }
  CapturedPacket found;
  if (find_ip_packet(frame, found) != DropReason::None) {
    return Error{path + ": frame " + std::to_string(number) + " has no IP packet", "frame"};
  }
  const std::byte* const at = frame.data + found.offset;
  return std::vector<std::byte>(at, at + found.length);
}

Status merge_captures(const std::vector<std::string>& inputs, const std::vector<std::string>& names,
                      const std::string& output) {
  std::vector<std::unique_ptr<CaptureReader>> readers;
  std::vector<CaptureFrame> frames(inputs.size());
  std::vector<bool> waiting(inputs.size());
  const auto advance = [&](std::size_t i) {
    CaptureReader::Step step;
    do {
      step = readers[i]->next(frames[i]);
    } while (step == CaptureReader::Step::Other);
    waiting[i] = step == CaptureReader::Step::Frame;
    return step != CaptureReader::Step::Fault;
  };
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    auto reader = CaptureReader::open(inputs[i]);
    if (!reader) return reader.error();
    readers.push_back(std::move(reader).value());
    if (!advance(i)) return readers[i]->error();
  }
  auto writer = CaptureWriter::create(output, names);
  if (!writer) return writer.error();
  for (;;) {
    std::size_t first = inputs.size();
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (waiting[i] && (first == inputs.size() || frames[i].time < frames[first].time)) first = i;
    }
    if (first == inputs.size()) break;
    const CaptureFrame& frame = frames[first];
    writer.value()->append(static_cast<std::uint32_t>(first), frame.time, frame.data, frame.length);
    if (!advance(first)) return readers[first]->error();
  }
  if (!writer.value()->flush()) return writer.value()->error();
  return Ok{};
}

}  // namespace sluice::gnb
