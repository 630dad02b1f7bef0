#include "bench/grpc_load/session_messages.h"

#include "bench/grpc_load/protobuf.h"

namespace sluice::load {
namespace {

constexpr std::size_t kDigits = 10;
constexpr std::string_view kMarkedDigits = "##########";
static_assert(kMarkedDigits.size() == kDigits);
constexpr std::uint64_t kAccess = 1;
constexpr std::uint64_t kCore = 2;
constexpr std::uint64_t kGtpuRemoval = 1;
constexpr std::uint64_t kFlowQer = 1;
constexpr std::uint64_t kAmbrQer = 2;
constexpr std::uint64_t kUrr = 1;

struct PdrPlan {
  std::uint64_t id;
  std::uint64_t precedence;
  bool uplink;
  std::string_view flow;
};
// Two a direction: a narrow one that is asked first, and the one that most traffic takes.
constexpr PdrPlan kPdrs[] = {
    {1, 100, true, "permit out udp from 203.0.113.0/24 5000-5010 to assigned"},
    {2, 200, true, "permit out udp from 198.51.0.0/16 1024-65535 to assigned"},
    {3, 100, false, "permit out udp from 203.0.113.0/24 5000-5010 to assigned"},
    {4, 200, false, "permit out udp from 198.51.0.0/16 1024-65535 to assigned"},
};

ProtobufWriter pdi_of(const PdrPlan& plan) {
  ProtobufWriter pdi;
  pdi.number(1, plan.uplink ? kAccess : kCore);
  if (plan.uplink) {
    ProtobufWriter f_teid;
    f_teid.number(2, 1);  // the UPF chooses; both PDRs share the F-TEID
    pdi.message(3, f_teid);
  } else {
    pdi.bytes(2, "internet");
    ProtobufWriter ue_address;
    ue_address.bytes(1, "auto");
    pdi.message(4, ue_address);
  }
  ProtobufWriter filter;
  filter.bytes(1, plan.flow);
  pdi.message(5, filter);
  return pdi;
}

void add_pdrs(ProtobufWriter& session) {
  for (const PdrPlan& plan : kPdrs) {
    ProtobufWriter pdr;
    pdr.number(1, plan.id);
    pdr.number(2, plan.precedence);
    pdr.message(3, pdi_of(plan));
    if (plan.uplink) pdr.number(4, kGtpuRemoval);
    pdr.number(5, plan.uplink ? 1 : 2);
    pdr.number(6, kFlowQer);
    pdr.number(6, kAmbrQer);
    pdr.number(7, kUrr);
    session.message(7, pdr);
  }
}

void add_fars(ProtobufWriter& session) {
  ProtobufWriter to_core;
  to_core.number(1, kCore);
  to_core.bytes(2, "internet");
  ProtobufWriter tunnel;
  tunnel.number(1, 0x01020304);
  tunnel.bytes(2, "127.0.0.2");
  ProtobufWriter to_access;
  to_access.number(1, kAccess);
  to_access.message(3, tunnel);
  const ProtobufWriter* const forwards[] = {&to_core, &to_access};
  for (std::uint64_t id = 1; id <= 2; ++id) {
    ProtobufWriter far;
    far.number(1, id);
    far.message(2, *forwards[id - 1]);
    session.message(8, far);
  }
}

void add_qers_and_urr(ProtobufWriter& session) {
  ProtobufWriter flow;
  flow.number(1, kFlowQer);
  flow.number(4, 1'000'000);
  flow.number(5, 1'000'000);
  flow.number(8, 9);
  session.message(9, flow);
  ProtobufWriter ambr;
  ambr.number(1, kAmbrQer);
  ambr.number(4, 2'000'000);
  ambr.number(5, 2'000'000);
  ambr.bytes(11, "ambr");
  session.message(9, ambr);
  ProtobufWriter threshold;
  threshold.number(1, 1'000'000'000'000);
  ProtobufWriter urr;
  urr.number(1, kUrr);
  urr.number(2, 1);
  urr.message(5, threshold);
  session.message(10, urr);
}

ProtobufWriter full_session(const std::string& name) {
  ProtobufWriter session;
  session.bytes(1, name);
  session.number(5, 1);  // IPv4
  session.bytes(6, "internet");
  add_pdrs(session);
  add_fars(session);
  add_qers_and_urr(session);
  return session;
}

}  // namespace

SessionMessages::SessionMessages(std::string_view name_prefix) {
  std::string name(name_prefix);
  name += kMarkedDigits;
  ProtobufWriter create;
  create.message(1, full_session(name));
  create_ = with_marked_name(create.encoded());
  ProtobufWriter remove;
  remove.bytes(1, name);
  remove_ = with_marked_name(remove.encoded());
}

SessionMessages::Template SessionMessages::with_marked_name(std::string bytes) const {
  Template message;
  message.digits = bytes.find(kMarkedDigits);
  message.bytes = std::move(bytes);
  return message;
}

std::string_view SessionMessages::with_name(Template& message, std::uint64_t index) {
  for (std::size_t digit = kDigits; digit > 0; --digit, index /= 10) {
    message.bytes[message.digits + digit - 1] = static_cast<char>('0' + index % 10);
  }
  return message.bytes;
}

void SessionMessages::batch(std::uint64_t batch_id, bool creates, std::uint64_t first,
                            std::size_t count, std::string& out) {
  ProtobufWriter batch;
  batch.number(1, batch_id);
  for (std::size_t i = 0; i < count; ++i) {
    ProtobufWriter operation;
    operation.bytes(creates ? 1 : 3, creates ? create(first + i) : remove(first + i));
    batch.message(2, operation);
  }
  batch.number(3, 1);
  out = batch.encoded();
}

BatchOutcome read_batch_result(std::string_view bytes) {
  BatchOutcome outcome;
  bool results_ok = true;
  ProtobufReader batch(bytes);
  while (batch.next()) {
    if (batch.field() == 1) outcome.batch_id = batch.number();
    if (batch.field() != 2) continue;
    ++outcome.results;
    std::uint64_t code = 0;
    std::string text;
    ProtobufReader result(batch.bytes());
    while (result.next()) {
      if (result.field() == 1) code = result.number();
      if (result.field() == 2 || result.field() == 3) text.append(" ").append(result.bytes());
    }
    results_ok = results_ok && result.ok();
    if (code == 0) continue;
    if (outcome.failures++ == 0) outcome.first_failure = "code " + std::to_string(code) + text;
  }
  outcome.well_formed = batch.ok() && results_ok;
  return outcome;
}

std::uint64_t seid_of_session(std::string_view bytes) {
  std::uint64_t seid = 0;
  ProtobufReader session(bytes);
  while (session.next()) {
    if (session.field() == 2) seid = session.number();
  }
  return session.ok() ? seid : 0;
}

}  // namespace sluice::load
