// Whose trouble an error is. Whoever calls a module whose errors may come from several sides is
// told by which it came: the kind of an error does not say it.
#pragma once

#include <expected>
#include <utility>

#include "ferry/base/result.h"

namespace ferry {

/// The same kind means different things to the caller of a command.
enum class Origin {
  kLocal,        // this host, or who called us
  kDestination,  // a server: a destination's, or a landing area's
  kMetastore,
};

struct [[nodiscard]] Failure {
  Origin origin = Origin::kLocal;
  Error error;
};

/// A T, or why the work cannot go on.
template <typename T>
using Outcome = std::expected<T, Failure>;

inline std::unexpected<Failure> fail(Error error, Origin origin = Origin::kLocal) {
  return std::unexpected(Failure{origin, std::move(error)});
}

}  // namespace ferry
