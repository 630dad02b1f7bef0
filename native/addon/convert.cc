#include "addon/convert.h"

#include <arpa/inet.h>

#include "addon/lanes.h"
#include "port/address_text.h"

namespace sluice::addon {
bool parse_address(const std::string& text, IpAddress& out) {
  out = IpAddress{};
  out.is_v6 = text.find(':') != std::string::npos;
  return inet_pton(out.is_v6 ? AF_INET6 : AF_INET, text.c_str(), out.bytes.data()) == 1;
}

namespace {

constexpr std::size_t kPeersListed = 1000;  // PEERS_MAX in src/datapath/datapath.ts

template <typename F>
void for_each(const Napi::Object& object, const char* key, F&& f) {
  const Napi::Value value = object.Get(key);
  if (!value.IsArray()) return;
  const Napi::Array array = value.As<Napi::Array>();
  for (std::uint32_t i = 0; i < array.Length(); ++i) f(i, array.Get(i));
}

bool parse_prefix(const std::string& text, IpPrefix& out) {
  const auto slash = text.find('/');
  if (slash == std::string::npos || !parse_address(text.substr(0, slash), out.address))
    return false;
  const int length = std::atoi(text.c_str() + slash + 1);
  if (length < 0 || length > (out.address.is_v6 ? 128 : 32)) return false;
  out.length = static_cast<std::uint8_t>(length);
  return true;
}

Status addresses_of(const Napi::Object& from, const char* key, const std::string& path,
                    std::vector<IpAddress>& out) {
  Status status = Ok{};
  for_each(from, key, [&](std::uint32_t i, Napi::Value value) {
    IpAddress address;
    const std::string text = value.ToString().Utf8Value();
    if (!parse_address(text, address)) {
      status = Error{"\"" + text + "\" is not an IP address",
                     path + key + "[" + std::to_string(i) + "]"};
    }
    out.push_back(address);
  });
  return status;
}

Status port_of(const Napi::Object& from, std::uint32_t index, PortConfig& port) {
  const std::string path = "ports[" + std::to_string(index) + "].";
  port.name = text_of(from, "name");
  port.driver = text_of(from, "driver");
  port.role = text_of(from, "role") == "access" ? PortRole::Access : PortRole::Core;
  port.udp_port = static_cast<std::uint16_t>(number_of(from, "udpPort"));
  port.source_ports = static_cast<unsigned>(number_of(from, "sourcePorts"));
  port.esp_in_udp = flag_of(from, "espInUdp");
  port.esp = flag_of(from, "esp");
  port.busy_poll = flag_of(from, "busyPoll");
  port.forward_in_driver = flag_of(from, "forwardInDriver");
  port.device = text_of(from, "device");
  const auto mtu = static_cast<std::uint16_t>(number_of(from, "mtu"));
  (port.role == PortRole::Access ? port.outer_mtu : port.mtu) = mtu;
  port.masquerade = flag_of(from, "masquerade");
  port.decrements_ttl = flag_of(from, "decrementTtl");
  const Napi::Value clamp = from.Get("clampMss");
  port.clamp_mss = clamp.IsNumber() ? static_cast<std::uint16_t>(number_of(from, "clampMss"))
                   : flag_of(from, "clampMss") ? kClampToMtu
                                               : std::uint16_t{0};
  port.file = text_of(from, "file");
  port.output_file = text_of(from, "outputFile");
  Status status = Ok{};
  if (Status read = addresses_of(from, "addresses", path, port.addresses); !read) status = read;
  if (Status read = addresses_of(from, "advertise", path, port.advertise); !read) status = read;
  if (Status read = addresses_of(from, "gateway", path, port.gateways); !read) status = read;
  if (Status read = addresses_of(from, "icmpSource", path, port.icmp_sources); !read) status = read;
  for_each(from, "networkInstances", [&](std::uint32_t, Napi::Value value) {
    port.network_instances.push_back(value.ToString().Utf8Value());
  });
  for_each(from, "uePools", [&](std::uint32_t i, Napi::Value value) {
    IpPrefix prefix;
    const std::string text = value.ToString().Utf8Value();
    if (!parse_prefix(text, prefix)) {
      status = Error{"\"" + text + "\" is not a prefix such as 10.60.0.0/16",
                     path + "uePools[" + std::to_string(i) + "]"};
    }
    port.ue_pools.push_back(prefix);
  });
  return status;
}

Napi::String text_to(Napi::Env env, const std::string& text) {
  return Napi::String::New(env, text);
}
Napi::Number number_to(Napi::Env env, double value) { return Napi::Number::New(env, value); }
Napi::Number count_to(Napi::Env env, std::uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

Napi::Object placement_to(Napi::Env env, const Placement& placement) {
  Napi::Object row = Napi::Object::New(env);
  Napi::Array cores = Napi::Array::New(env);
  for (const unsigned core : placement.control_cores) {
    cores.Set(cores.Length(), number_to(env, core));
  }
  row.Set("controlCores", cores);
  row.Set("memoryPages", text_to(env, page_kind_name(placement.pages)));
  row.Set("memoryBytes", count_to(env, placement.memory_bytes));
  Napi::Array nodes = Napi::Array::New(env);
  for (const auto& [node, pages] : placement.packet_pages) {
    Napi::Object one = Napi::Object::New(env);
    one.Set("numaNode", number_to(env, node));
    one.Set("pages", number_to(env, pages));
    nodes.Set(nodes.Length(), one);
  }
  row.Set("packetPages", nodes);
  return row;
}

const char* name_of(PathState state) {
  if (state == PathState::Up) return "up";
  return state == PathState::Down ? "down" : "unknown";
}

Napi::Object peer_to(Napi::Env env, const PathRow& path) {
  Napi::Object row = Napi::Object::New(env);
  row.Set("address", text_to(env, path.address));
  row.Set("udpPort", number_to(env, path.udp_port));
  row.Set("port", text_to(env, path.port));
  row.Set("state", text_to(env, name_of(path.state)));
  row.Set("roundTripUs", number_to(env, path.round_trip_us));
  row.Set("transitions", number_to(env, path.transitions));
  return row;
}

void set_peers(Napi::Env env, const Datapath& datapath, Napi::Object& status) {
  std::size_t all = 0;
  Napi::Array peers = Napi::Array::New(env);
  for (const PathRow& path : datapath.paths(kPeersListed, all)) {
    peers.Set(peers.Length(), peer_to(env, path));
  }
  status.Set("peers", peers);
  status.Set("peersTotal", count_to(env, all));
}

/// Where time starts, if it is given, and what outlives the process.
void set_lifetime(const Napi::Object& object, DatapathConfig& config) {
  const Napi::Value given_time = object.Get("givenTimeNs");
  if (given_time.IsNumber()) {
    config.given_time = static_cast<Nanoseconds>(given_time.As<Napi::Number>().Int64Value());
  }
  const Napi::Value survival = object.Get("survival");
  if (survival.IsObject()) {
    config.survival.name = text_of(survival.As<Napi::Object>(), "name");
    config.survival.snapshot = text_of(survival.As<Napi::Object>(), "snapshot");
  }
}

/// Anything but "forward" drops; keys that are missing keep their defaults.
void set_policy(const Napi::Object& object, DatapathConfig& config) {
  const Napi::Value value = object.Get("policy");
  if (value.IsObject()) {
    const Napi::Object from = value.ToObject();
    IpPolicy& policy = config.policy;
    policy.drop_multicast = text_of(from, "multicast") != "forward";
    policy.drop_martians = text_of(from, "martians") != "forward";
    policy.drop_own_addresses = text_of(from, "ownAddresses") != "forward";
    policy.drop_nested_gtpu = text_of(from, "nestedGtpu") != "forward";
    policy.hairpin = flag_of(from, "hairpin");
    policy.icmp_errors_per_second =
        static_cast<std::uint32_t>(number_of(from, "icmpErrorsPerSecond"));
  }
  const Napi::Value limits = object.Get("reassembly");
  if (!limits.IsObject()) return;
  const Napi::Object from = limits.ToObject();
  config.reassembly.datagrams = static_cast<unsigned>(number_of(from, "datagrams"));
  config.reassembly.fragments = static_cast<unsigned>(number_of(from, "fragments"));
  config.reassembly.timeout = static_cast<Nanoseconds>(number_of(from, "timeoutMs") * 1e6);
}

}  // namespace

std::string text_of(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}
double number_of(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  return value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : 0;
}
bool flag_of(const Napi::Object& object, const char* key) {
  return object.Get(key).ToBoolean().Value();
}

void throw_error(Napi::Env env, const Error& error) {
  Napi::Error thrown = Napi::Error::New(env, error.message);
  thrown.Set("field", Napi::String::New(env, error.field));
  thrown.ThrowAsJavaScriptException();
}

Napi::Value packet_memory(const Napi::CallbackInfo& info) {
  const Napi::Object object = info[0].ToObject();
  DatapathConfig config;
  config.packets_max = static_cast<std::uint32_t>(number_of(object, "packetsMax"));
  config.held_packets_max = static_cast<std::uint32_t>(number_of(object, "heldPacketsMax"));
  config.workers = static_cast<unsigned>(number_of(object, "workers"));
  config.sessions.slots_per_bucket =
      static_cast<std::uint32_t>(number_of(object, "slotsPerBucket"));
  return count_to(info.Env(), packet_memory_bytes(config));
}

Result<DatapathConfig> config_of(const Napi::Object& object) {
  DatapathConfig config;
  config.packets_max = static_cast<std::uint32_t>(number_of(object, "packetsMax"));
  const auto ms = [](double value) { return static_cast<Nanoseconds>(value * 1e6); };
  const Napi::Value hold = object.Get("hold"), gtpu = object.Get("gtpu");
  config.held_packets_max = 0;
  config.answers_per_second = 0;
  if (hold.IsObject()) {
    const Napi::Object held = hold.As<Napi::Object>();
    config.held_packets_max = static_cast<std::uint32_t>(number_of(held, "packetsMax"));
    config.held_max = ms(number_of(held, "ms"));
  }
  if (gtpu.IsObject()) {
    const Napi::Object messages = gtpu.As<Napi::Object>();
    config.echo.interval = ms(number_of(messages, "echoIntervalMs"));
    config.echo.timeout = ms(number_of(messages, "echoTimeoutMs"));
    config.echo.tries = static_cast<unsigned>(number_of(messages, "echoTries"));
    config.answers_per_second = static_cast<unsigned>(number_of(messages, "answersPerSecond"));
    config.answers_quiet = ms(number_of(messages, "answersQuietMs"));
  }
  const std::string pages = text_of(object, "hugepages");
  config.hugepages = pages == "1G"    ? PagePolicy::k1G
                     : pages == "2M"  ? PagePolicy::k2M
                     : pages == "off" ? PagePolicy::Off
                                      : PagePolicy::Auto;
  const Napi::Object workers = object.Get("workers").ToObject();
  config.workers = static_cast<unsigned>(number_of(workers, "count"));
  for_each(workers, "cores", [&](std::uint32_t, Napi::Value value) {
    config.cores.push_back(value.ToNumber().Uint32Value());
  });
  const std::string poll = text_of(workers, "poll");
  config.poll = poll == "busy"       ? PollMode::Busy
                : poll == "adaptive" ? PollMode::Adaptive
                                     : PollMode::Auto;
  const Napi::Value lanes = object.Get("lanes");
  if (lanes.IsNumber()) config.lanes = lanes.As<Napi::Number>().Uint32Value();
  config.sessions.slot_bits = static_cast<unsigned>(number_of(object, "slotBits"));
  config.sessions.slots_per_bucket =
      static_cast<std::uint32_t>(number_of(object, "slotsPerBucket"));
  for_each(object, "teidKey", [&](std::uint32_t i, Napi::Value value) {
    if (i < config.sessions.teid_key.size())
      config.sessions.teid_key[i] = value.ToNumber().Uint32Value();
  });
  set_lifetime(object, config);
  Status status = Ok{};
  for_each(object, "ports", [&](std::uint32_t i, Napi::Value value) {
    PortConfig port;
    if (Status made = port_of(value.ToObject(), i, port); !made) status = made;
    config.ports.push_back(std::move(port));
  });
  if (Status read = addresses_of(object, "ownAddresses", "", config.own_addresses); !read) {
    status = read;
  }
  if (!status) return status.error();
  set_policy(object, config);
  return config;
}

Napi::Array path_changes_to(Napi::Env env, Datapath& datapath) {
  Napi::Array changes = Napi::Array::New(env);
  for (const PathChange& change : datapath.take_path_changes()) {
    Napi::Object row = peer_to(env, change.peer);
    row.Set("before", text_to(env, name_of(change.before)));
    changes.Set(changes.Length(), row);
  }
  return changes;
}

Napi::Object status_to(Napi::Env env, const Datapath& datapath, bool running) {
  Napi::Object status = Napi::Object::New(env);
  Napi::Array ports = Napi::Array::New(env);
  for (const auto& port : datapath.ports()) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("name", text_to(env, port->config().name));
    row.Set("driver", text_to(env, port->config().driver));
    row.Set("state", text_to(env, running ? "up" : "down"));
    Napi::Array addresses = Napi::Array::New(env);
    for (const auto& address : port->config().addresses) {
      addresses.Set(addresses.Length(), text_to(env, address_text(address)));
    }
    row.Set("addresses", addresses);
    Napi::Object capabilities = Napi::Object::New(env);
    for (const auto& [key, value] : port->capabilities())
      capabilities.Set(key, text_to(env, value));
    row.Set("capabilities", capabilities);
    ports.Set(ports.Length(), row);
  }
  status.Set("ports", ports);
  Napi::Array workers = Napi::Array::New(env);
  for (const auto& worker : datapath.workers()) {
    const auto& config = worker->config();
    Napi::Object row = Napi::Object::New(env);
    row.Set("id", number_to(env, config.id));
    row.Set("core", number_to(env, config.place.core));
    row.Set("numaNode", number_to(env, config.place.numa_node));
    row.Set("poll", text_to(env, poll_mode_name(config.place.poll)));
    Napi::Array queues = Napi::Array::New(env);
    for (const std::uint8_t port : config.ports) {
      queues.Set(queues.Length(), text_to(env, datapath.ports()[port]->config().name + "/" +
                                                   std::to_string(config.id)));
    }
    row.Set("queues", queues);
    workers.Set(workers.Length(), row);
  }
  status.Set("workers", workers);
  Napi::Array warnings = Napi::Array::New(env);
  for (const auto& warning : datapath.warnings())
    warnings.Set(warnings.Length(), text_to(env, warning));
  status.Set("warnings", warnings);
  status.Set("plan", text_to(env, datapath.plan_text()));
  status.Set("placement", placement_to(env, datapath.placement()));
  set_peers(env, datapath, status);
  status.Set("regionBytesUsed", count_to(env, datapath.region_used()));
  return status;
}

Napi::Object statistics_to(Napi::Env env, const DatapathStatistics& s) {
  Napi::Object out = Napi::Object::New(env);
  Napi::Array ports = Napi::Array::New(env);
  for (const auto& port : s.ports) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("name", text_to(env, port.name));
    row.Set("rxPackets", count_to(env, port.counters.rx_packets));
    row.Set("rxBytes", count_to(env, port.counters.rx_bytes));
    row.Set("txPackets", count_to(env, port.counters.tx_packets));
    row.Set("txBytes", count_to(env, port.counters.tx_bytes));
    row.Set("txFull", count_to(env, port.counters.tx_full));
    row.Set("rxMissed", count_to(env, port.counters.rx_missed));
    row.Set("rxNoBuffer", count_to(env, port.counters.rx_no_buffer));
    row.Set("rxIgnored", count_to(env, port.counters.rx_ignored));
    ports.Set(ports.Length(), row);
  }
  out.Set("ports", ports);
  Napi::Array workers = Napi::Array::New(env);
  for (const auto& worker : s.workers) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("id", number_to(env, worker.id));
    row.Set("cyclesPerPacket", number_to(env, worker.counters.cycles_per_packet));
    row.Set("burstFill", number_to(env, worker.counters.burst_fill));
    row.Set("longestStallNs", count_to(env, worker.counters.longest_stall_ns));
    row.Set("busy", number_to(env, worker.counters.busy));
    row.Set("buckets", number_to(env, worker.buckets));
    row.Set("bucketsTaken", count_to(env, worker.buckets_taken));
    row.Set("commandsWaiting", number_to(env, worker.commands_waiting));
    row.Set("eventsWaiting", number_to(env, worker.events_waiting));
    row.Set("packetsWaiting", number_to(env, worker.packets_waiting));
    row.Set("eventsFull", count_to(env, worker.counters.events_full));
    workers.Set(workers.Length(), row);
  }
  out.Set("workers", workers);
  Napi::Object dropped = Napi::Object::New(env);
  for (std::size_t r = 1; r < kDropReasons; ++r) {
    dropped.Set(drop_reason_label(static_cast<DropReason>(r)), count_to(env, s.dropped[r]));
  }
  out.Set("dropped", dropped);
  out.Set("created", count_to(env, s.created));
  out.Set("held", count_to(env, s.held));
  Napi::Object gtpu = Napi::Object::New(env);
  gtpu.Set("endMarkersSent", count_to(env, s.gtpu.end_markers_sent));
  gtpu.Set("errorIndicationsSent", count_to(env, s.gtpu.error_indications_sent));
  gtpu.Set("extensionNotificationsSent", count_to(env, s.gtpu.extension_notifications_sent));
  gtpu.Set("answersSuppressed", count_to(env, s.gtpu.answers_suppressed));
  out.Set("gtpu", gtpu);
  Napi::Object captures = Napi::Object::New(env);
  captures.Set("running", count_to(env, s.captures.running));
  captures.Set("packets", count_to(env, s.captures.packets));
  captures.Set("lost", count_to(env, s.captures.lost));
  out.Set("captures", captures);
  out.Set("cryptoLanes", lanes_to(env, s.lanes));
  Napi::Object driver = Napi::Object::New(env);
  driver.Set("flows", count_to(env, s.lent_flows));
  driver.Set("forwardedPackets", count_to(env, s.forwarded_in_driver));
  out.Set("driver", driver);
  return out;
}

}  // namespace sluice::addon
