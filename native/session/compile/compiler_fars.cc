// The compiler's part for FARs: where packets go, under which protection, and their copies.
#include <algorithm>
#include <bit>

#include "session/compile/compiler.h"

namespace sluice {
using namespace record;
namespace {
constexpr std::uint16_t kKeepsOuter = 256;  ///< beside a FAR's index: its entry for such PDRs
constexpr std::uint16_t kCopyEntry = 0xffff;
constexpr std::size_t kFarsMax = 255;  // of a direction: positions are octets

FarEntry empty_entry(const std::uint32_t* f) noexcept {
  FarEntry entry{};
  entry.action = FarAction::Drop;
  entry.peer = PeerTable::kNone;
  entry.port = kNoPort;
  entry.id_low = static_cast<std::uint8_t>(f[far::Id]);
  return entry;
}
void fill_buffer(const RecordReader& record, const std::uint32_t* f, FarEntry& entry) noexcept {
  entry.action = FarAction::Buffer;
  if (f[far::Action] >> 16 & far::kNotify) entry.flags = kFarNotify;
  const unsigned position = f[far::UdpPort] >> 16 & 0xff;
  if (position == 0) return;
  const std::uint32_t* b = record.bar(position - 1);
  entry.set_buffer(b[bar::NotificationDelayMs], b[bar::PacketLimit]);
}
}  // namespace

PrepareError Compiler::resolve_forward(const RecordReader& record, const std::uint32_t* f,
                                       unsigned far_index, bool keeps_outer, FarEntry& out) {
  const std::uint32_t flags = f[far::Action] >> 16 & 0xff;
  const auto instance = record.text(f[far::Instance]);
  const bool tunnel = (flags & far::kOuterHeader) != 0;
  const unsigned destination = f[far::Action] >> 8 & 0xff;
  if (!tunnel && destination == kInterfaceAccess) {
    out.action = FarAction::NoTunnel;
    return {};
  }
  PortMask mask = network_.mask(tunnel, instance);
  if (mask == 0) return {PrepareStatus::Instance, 256 + far_index};
  const auto protection = static_cast<std::uint16_t>(f[far::Protection]);
  if (f[far::Protection] > kProtectionsMax) return {PrepareStatus::Protection, far_index};
  if (protection != 0) {
    if (!protections_.has(protection)) return {PrepareStatus::Protection, far_index};
    mask &= protections_.ports(protection);
    if (mask == 0) return {PrepareStatus::ProtectionPort, far_index};
  }
  const auto behind = [protection](unsigned port) {
    return static_cast<std::uint8_t>(port + (protection != 0 ? kProtectedPort : 0));
  };
  if (flags & far::kDscp) {
    out.flags |= kFarMarks;
    out.tos = static_cast<std::uint8_t>((f[far::Action] >> 24 & 0x3f) << 2);
  }
  if (!tunnel) {
    if (protection != 0) protections_.acquire(protection);
    out.action = keeps_outer ? FarAction::WholeToCore : FarAction::ToCore;
    out.port = behind(static_cast<unsigned>(std::countr_zero(mask)));
    out.teid = protection;
    return {};
  }
  const bool is_v6 = (flags & far::kOuterIpv6) != 0;
  const LocalAddress* source = nullptr;
  for (unsigned m = mask; m != 0 && source == nullptr; m &= m - 1) {
    source = network_.source(static_cast<std::uint8_t>(std::countr_zero(m)), is_v6);
  }
  if (source == nullptr) return {PrepareStatus::Instance, 256 + far_index};
  // The gNB gets the downlink container also from another gNB (indirect forwarding).
  out.container = destination == kInterfaceAccess ? 0 : 1;
  out.teid = f[far::Teid];
  std::uint32_t address[4] = {f[far::Ipv4], 0, 0, 0};
  if (is_v6) std::copy_n(f + far::Ipv6, 4, address);
  const bool to_self = network_.is_local(address, is_v6);
  if (to_self) out.flags |= kFarToSelf;
  out.action = keeps_outer ? FarAction::WholeToTunnel
               : to_self   ? FarAction::ToSelf
                           : FarAction::ToTunnel;
  const std::uint32_t udp_port = f[far::UdpPort] & 0xffff;
  out.peer = peers_.acquire(*source, address,
                            static_cast<std::uint16_t>(udp_port ? udp_port : 2152), protection);
  if (out.peer == PeerTable::kNone) return {PrepareStatus::Resources, far_index};
  if (protection != 0) protections_.acquire(protection);
  out.port = behind(source->port);
  return {};
}

PrepareError Compiler::compile_far(const RecordReader& record, unsigned far_index, bool keeps_outer,
                                   Direction direction, std::uint8_t& out) {
  Side& side = sides_[static_cast<unsigned>(direction)];
  const auto name = static_cast<std::uint16_t>(far_index | (keeps_outer ? kKeepsOuter : 0u));
  for (unsigned i = 0; i < side.far_index.size(); ++i) {
    if (side.far_index[i] == name) {
      out = static_cast<std::uint8_t>(i);
      return {};
    }
  }
  if (side.fars.size() >= kFarsMax) return {PrepareStatus::Resources, far_index};
  const std::uint32_t* f = record.far(far_index);
  const std::uint32_t action = f[far::Action] & 0xff;
  FarEntry entry = empty_entry(f);
  if (action == far::kBuffer) fill_buffer(record, f, entry);
  if (action == far::kForward) {
    if (const auto error = resolve_forward(record, f, far_index, keeps_outer, entry);
        error.status != PrepareStatus::Ok) {
      return error;
    }
  }
  out = static_cast<std::uint8_t>(side.fars.size());
  side.far_index.push_back(name);
  // What a FAR buffers is duplicated by the FAR that lets it go.
  if (f[far::UdpPort] >> 24 != 0 && action != far::kBuffer) {
    return compile_copies(record, far_index, keeps_outer, side, entry);
  }
  side.fars.push_back(entry);
  return {};
}

/// The entry that sends a packet several ways, then its own and those of the copies.
PrepareError Compiler::compile_copies(const RecordReader& record, unsigned far_index,
                                      bool keeps_outer, Side& side, FarEntry primary) {
  const std::uint32_t* f = record.far(far_index);
  const auto words = record.duplicates(f);
  const std::size_t copies = words.size() / kFarWords;
  FarEntry fork = empty_entry(f);
  fork.action = FarAction::Duplicate;
  fork.teid = static_cast<std::uint32_t>(copies);
  side.fars.push_back(fork);
  side.fars.push_back(primary);
  side.far_index.push_back(kCopyEntry);
  for (std::size_t i = 0; i < copies; ++i) {
    FarEntry copy = empty_entry(f);
    if (const auto error =
            resolve_forward(record, &words[i * kFarWords], far_index, keeps_outer, copy);
        error.status != PrepareStatus::Ok) {
      return error;
    }
    side.fars.push_back(copy);
    side.far_index.push_back(kCopyEntry);
  }
  if (side.fars.size() > kFarsMax) return {PrepareStatus::Resources, far_index};
  return {};
}

void Compiler::idle_tunnels(const RecordReader& record, std::vector<FarEntry>& out) {
  for (unsigned i = 0; i < record.pdrs(); ++i) {
    const unsigned index = record.pdr(i)[pdr::FTeid] >> 16 & 0xff;
    const std::uint32_t* f = record.far(index);
    const bool is_tunnel = (f[far::Action] >> 16 & far::kOuterHeader) != 0 && f[far::Teid] != 0;
    if (!is_tunnel || (f[far::Action] & 0xff) == far::kForward) continue;
    FarEntry entry = empty_entry(f);
    const auto error = resolve_forward(record, f, index, false, entry);
    if (error.status == PrepareStatus::Ok) out.push_back(entry);
  }
}

void Compiler::release_fars(std::vector<FarEntry>& fars) {
  for (const FarEntry& far : fars) release_far(far);
  fars.clear();
}

void Compiler::release_far(const FarEntry& far) {
  if (is_protected(far.port)) {
    protections_.release(far.leads_into_tunnel() ? peers_[far.peer].protection
                                                 : static_cast<std::uint16_t>(far.teid));
  }
  if (far.peer != PeerTable::kNone) peers_.release(far.peer);
}

}  // namespace sluice
