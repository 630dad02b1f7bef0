// Requests of the session API with full rules, encoded once: only the name's digits differ
// from one session to the next, so that the client is never the bottleneck. One thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::load {

/// Encoded requests for sessions named <prefix><ten digits>.
class SessionMessages {
 public:
  explicit SessionMessages(std::string_view name_prefix);

  /// CreateSessionRequest of session `index`; valid until the next call of the same function.
  std::string_view create(std::uint64_t index) { return with_name(create_, index); }
  /// DeleteSessionRequest of session `index`; valid until the next call of the same function.
  std::string_view remove(std::uint64_t index) { return with_name(remove_, index); }

  /// Brief SessionBatch of `count` operations on sessions from `first` on.
  void batch(std::uint64_t batch_id, bool creates, std::uint64_t first, std::size_t count,
             std::string& out);

 private:
  struct Template {
    std::string bytes;
    std::size_t digits = 0;  ///< where the name's digits begin
  };
  Template with_marked_name(std::string bytes) const;
  static std::string_view with_name(Template& message, std::uint64_t index);

  Template create_;
  Template remove_;
};

/// What one SessionBatchResult says.
struct BatchOutcome {
  std::uint64_t batch_id = 0;
  std::size_t results = 0;
  std::size_t failures = 0;   ///< results with a code other than OK
  std::string first_failure;  ///< its code, message and field
  bool well_formed = false;
};
BatchOutcome read_batch_result(std::string_view bytes);

/// SEID of a Session message, 0 when it has none.
std::uint64_t seid_of_session(std::string_view bytes);

}  // namespace sluice::load
