#include "base/types.h"

namespace sluice {
namespace {
struct Entry {
  const char* label;
  const char* text;
};
constexpr Entry kEntries[] = {
    {"none", "the packet left"},
#define SLUICE_DROP_REASON(name, label, text) {label, text},
#include "base/drop_reason.def"
#undef SLUICE_DROP_REASON
};
static_assert(sizeof(kEntries) / sizeof(kEntries[0]) == kDropReasons);
}  // namespace

const char* drop_reason_label(DropReason reason) noexcept {
  return kEntries[static_cast<std::size_t>(reason)].label;
}
const char* drop_reason_text(DropReason reason) noexcept {
  return kEntries[static_cast<std::size_t>(reason)].text;
}
}  // namespace sluice
