// What a command's end tells its caller. The numbers are part of ferry's interface.
#pragma once

#include <expected>
#include <string_view>

#include "ferry/base/result.h"

namespace ferry::app {

enum class ExitStatus : int {
  kDone = 0,
  kSomeFailed = 1,
  kUsage = 2,
  kDestination = 3,
  kMetastore = 4,
  kInterrupted = 130,
};

std::string_view describe(ExitStatus status);

/// Whose trouble an error is: the same kind means different things to the caller.
enum class Origin { kLocal, kDestination, kMetastore };

struct [[nodiscard]] Failure {
  Origin origin = Origin::kLocal;
  Error error;
};

/// A T, or why the command cannot go on.
template <typename T>
using Outcome = std::expected<T, Failure>;

inline std::unexpected<Failure> fail(Error error, Origin origin = Origin::kLocal) {
  return std::unexpected(Failure{origin, std::move(error)});
}

/// The one place where kinds of errors become exit codes.
ExitStatus exit_status_for(const Failure& failure);

/// The one to report if several parts of a command ended differently.
ExitStatus worse_of(ExitStatus one, ExitStatus other);

}  // namespace ferry::app
