// Which connection suffers what, and after how many bytes.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace ferry::bench {

enum class FaultKind : std::uint8_t {
  kReset,   // both sides get an RST
  kFinish,  // both sides get a FIN
  kStall,   // both sides stay open, and nothing is forwarded any more
};

enum class Counted : std::uint8_t { kBothDirections, kToClient };

struct Fault {
  FaultKind kind = FaultKind::kReset;
  Counted counted = Counted::kBothDirections;
  std::uint64_t after = 0;  // bytes forwarded
};

struct ByteRange {
  std::uint64_t min = 0;
  std::uint64_t max = 0;
};

struct FaultOptions {
  std::vector<std::uint64_t> cut_after;            // the first connection, the second…
  std::vector<std::uint64_t> cut_to_client_after;  // the same, by the bytes to the client
  std::optional<ByteRange> cut_random;
  std::optional<ByteRange> stall_random;
  std::string cut_with = "rst";  // or fin, or either
  std::uint64_t seed = 1;
  std::uint64_t max_faults = std::numeric_limits<std::uint64_t>::max();
};

class FaultPlan {
 public:
  explicit FaultPlan(FaultOptions options) : options_(std::move(options)), random_(options_.seed) {}

  /// For the next connection.
  std::optional<Fault> next();
  /// Asked when a fault is about to happen; counts it where it may.
  bool may_strike();
  std::uint64_t struck() const { return struck_; }

 private:
  std::optional<Fault> random_fault();
  FaultKind cut_kind();
  std::uint64_t draw(std::uint64_t min, std::uint64_t max);

  FaultOptions options_;
  std::mt19937_64 random_;
  std::size_t connections_ = 0;
  std::uint64_t struck_ = 0;
};

}  // namespace ferry::bench
