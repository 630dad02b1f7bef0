#include "session/compile/support.h"

namespace sluice {
using namespace record;
namespace {

PrepareError refuse(Unsupported feature, unsigned index) noexcept {
  return {PrepareStatus::Unsupported, static_cast<std::uint32_t>(feature) << 16 | index};
}

PrepareError check_urr(const std::uint32_t* u, unsigned i) noexcept {
  constexpr struct {
    std::uint32_t flag;
    Unsupported feature;
  } kFlags[] = {{urr::kBeforePolicing, Unsupported::MeasureBeforePolicing},
                {urr::kTimeThreshold, Unsupported::TimeThreshold},
                {urr::kTimeQuota, Unsupported::TimeQuota},
                {urr::kPeriod, Unsupported::Period},
                {urr::kInactivity, Unsupported::Inactivity}};
  for (const auto& [flag, feature] : kFlags) {
    if (u[urr::Flags] & flag) return refuse(feature, i);
  }
  if (u[urr::Linked] >> 16 != 0) return refuse(Unsupported::LinkedUrrs, i);
  if (u[urr::QuotaFar] != 0) return refuse(Unsupported::QuotaFar, i);
  return {};
}

}  // namespace

PrepareError check_support(const RecordReader& record) noexcept {
  for (unsigned i = 0; i < record.urrs(); ++i) {
    if (const auto error = check_urr(record.urr(i), i); error.status != PrepareStatus::Ok)
      return error;
  }
  return {};
}

}  // namespace sluice
