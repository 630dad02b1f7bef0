// The packet path's lenders, one a worker, and what happens beside the workers.
#include "worker/datapath.h"

namespace sluice {

Lender* Datapath::make_lender(unsigned worker) {
  lenders_.push_back(Lender::create(*sessions_, network_, ports_, pipeline_ports_, worker));
  return lenders_.back().get();
}

void Datapath::add_beside_workers(DatapathStatistics& to) const {
  if (crypto_lanes_ != nullptr) to.lanes = crypto_lanes_->statistics();
  for (const auto& lender : lenders_) {
    if (lender == nullptr) continue;
    const LenderCounters& counters = lender->counters();
    to.lent_flows += counters.places;
    to.forwarded_in_driver += counters.forwarded;
    to.dropped[static_cast<std::size_t>(DropReason::MbrExceeded)] += counters.dropped;
  }
}

std::vector<std::string> Datapath::warnings() const {
  std::vector<std::string> all = warnings_;
  for (const auto& port : ports_) {
    const std::string shortcoming = port->shortcoming();
    if (!shortcoming.empty()) all.push_back("port " + port->config().name + ": " + shortcoming);
  }
  return all;
}

}  // namespace sluice
